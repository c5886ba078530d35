import { Access } from 'pagewright/core';
import {
  A,
  AD,
  D,
  type EptRuleCase,
  FINAL,
  FIVE,
  FLAGS,
  frame,
  MISCONFIGURATION,
  MODE_BASED,
  misconfigured,
  PDE,
  PDPTE,
  PML4E,
  PRIORITY,
  PS,
  PTE,
  page,
  pointers,
  QUALIFICATION,
  R,
  RWX,
  TABLE,
  TABLE_READ,
  TRANSLATION,
  translated,
  VIOLATION,
  violation,
  W,
  WB,
  X,
  XU,
} from './ept-row.js';

const { Fetch, ImplicitSupervisor, Read, ReadModifyWrite, User, Write } = Access;

const TRANSLATIONS: readonly EptRuleCase[] = [
  translated(TRANSLATION, 'a 4 KiB page', { last: page(RWX), access: Write }),
  translated(TRANSLATION, 'bits 20:12 as index of the last table', {
    entries: { [PTE + 8 * 511]: page(RWX) },
    va: 511n << 12n,
    access: Read,
  }),
  translated(
    TRANSLATION,
    'a 2 MiB page: bits 20:0 are the offset',
    { entries: { [PDE]: 0x4020_0000n | WB | PS | RWX }, va: 0x12_3000n, access: Fetch },
    0x40323,
  ),
  translated(
    TRANSLATION,
    'a 1 GiB page: bits 29:0 are the offset',
    { entries: { [PDPTE]: 0x8000_0000n | WB | PS | RWX }, va: 0x2123_4000n, access: Read },
    0xa1234,
  ),
  translated(TRANSLATION, 'a fifth level, by bits 56:48', {
    entries: { [8 * 511]: frame(1) | RWX },
    options: FIVE,
    last: page(RWX),
    va: 511n << 48n,
    access: Read,
  }),
  translated(TRANSLATION, 'bits 63:52 and 11 as ignored, in pointers and leaves', {
    entries: { [PDE]: frame(4) | RWX | (0xfffn << 52n) | (1n << 11n) },
    last: page(RWX) | (0xfffn << 52n) | (1n << 11n),
    access: Write,
  }),
  violation('outOfRange', TRANSLATION, 'bit 48 with four levels', 1 | FINAL, {
    va: 1n << 48n,
    access: Read,
  }),
  violation('outOfRange', TRANSLATION, 'bit 57 with five levels', 2 | FINAL, {
    options: FIVE,
    va: 1n << 57n,
    access: Write,
  }),
  {
    ...{ rule: 'tableMissing', section: TRANSLATION, given: 'a table where there is no memory' },
    ...{ entries: { [PDE]: frame(0x100) | RWX }, access: Read, answer: 'bus-error' },
  },
  violation('notPresent', TRANSLATION, 'bits 2:0 all 0', 1 | FINAL, {
    last: page(A | D),
    access: Read,
  }),
  violation(
    'notPresent',
    TRANSLATION,
    'bit 10 alone without mode-based execute control',
    4 | FINAL,
    {
      last: page(XU),
      access: Fetch | User,
    },
  ),
  translated(TRANSLATION, 'bit 10 alone with mode-based execute control', {
    entries: pointers(RWX | XU),
    last: page(XU),
    options: MODE_BASED,
    access: Fetch | User,
  }),
];

const MISCONFIGURATIONS: readonly EptRuleCase[] = [
  misconfigured('writeWithoutRead', 'W without R in a leaf', { last: page(W) }),
  misconfigured('writeWithoutRead', 'W and X without R in a leaf', { last: page(W | X) }),
  misconfigured('writeWithoutRead', 'W without R in a pointer', {
    entries: { [PDPTE]: frame(3) | W },
    last: page(RWX),
  }),
  misconfigured('executeOnly', 'X without R, unsupported', {
    last: page(X),
    options: { executeOnly: false },
  }),
  misconfigured('executeOnly', 'X without R in a pointer, unsupported', {
    entries: { [PML4E]: frame(2) | X },
    last: page(RWX),
    options: { executeOnly: false },
  }),
  misconfigured('executeOnly', 'XU without R, unsupported', {
    last: page(XU),
    options: { ...MODE_BASED, executeOnly: false },
  }),
  translated(MISCONFIGURATION, 'X without R, supported', { last: page(X), access: Fetch }),
  ...[3, 4, 5, 6, 7].map((bit) =>
    misconfigured('reservedBits', `bit ${bit} of a PML4E`, {
      entries: { [PML4E]: frame(2) | RWX | (1n << BigInt(bit)) },
      last: page(RWX),
    }),
  ),
  misconfigured('reservedBits', 'PS in a PML4E that would be a page', {
    entries: { [PML4E]: WB | PS | RWX },
  }),
  misconfigured('reservedBits', 'PS in a PML5E', {
    entries: { 0: frame(1) | RWX | PS },
    options: FIVE,
    last: page(RWX),
  }),
  ...[3, 6].flatMap((bit) => [
    misconfigured('reservedBits', `bit ${bit} of a PDPTE that points`, {
      entries: { [PDPTE]: frame(3) | RWX | (1n << BigInt(bit)) },
      last: page(RWX),
    }),
    misconfigured('reservedBits', `bit ${bit} of a PDE that points`, {
      entries: { [PDE]: frame(4) | RWX | (1n << BigInt(bit)) },
      last: page(RWX),
    }),
  ]),
  misconfigured('reservedBits', 'PS in a PDPTE without 1 GiB pages', {
    entries: { [PDPTE]: WB | PS | RWX },
    options: { gigabytePages: false },
  }),
  ...[12, 29].map((bit) =>
    misconfigured('reservedBits', `bit ${bit} of a 1 GiB page`, {
      entries: { [PDPTE]: WB | PS | RWX | (1n << BigInt(bit)) },
    }),
  ),
  ...[12, 20].map((bit) =>
    misconfigured('reservedBits', `bit ${bit} of a 2 MiB page`, {
      entries: { [PDE]: WB | PS | RWX | (1n << BigInt(bit)) },
    }),
  ),
  misconfigured('reservedBits', 'an address above MAXPHYADDR in a leaf', {
    last: page(RWX) | (1n << 40n),
    options: { maxPhyAddr: 40 },
  }),
  misconfigured('reservedBits', 'an address above MAXPHYADDR in a pointer', {
    entries: { [PDPTE]: frame(3) | RWX | (1n << 51n) },
    last: page(RWX),
    options: { maxPhyAddr: 51 },
  }),
  ...[2n, 3n, 7n].map((type) =>
    misconfigured('memoryType', `memory type ${type} in a leaf`, {
      last: frame(0x77) | (type << 3n) | RWX,
    }),
  ),
  misconfigured('memoryType', 'memory type 3 in a 2 MiB page', {
    entries: { [PDE]: (3n << 3n) | PS | RWX },
  }),
];

const VIOLATIONS: readonly EptRuleCase[] = [
  violation('notReadable', VIOLATION, 'a read with R=0', 1 | 0x20 | FINAL, {
    last: page(X),
    access: Read,
  }),
  violation('notReadable', VIOLATION, 'a read with R=0 in an upper entry alone', 1 | 0x20 | FINAL, {
    entries: { [PDPTE]: frame(3) | X },
    last: page(RWX),
    access: Read,
  }),
  violation('notWritable', VIOLATION, 'a write with W=0', 2 | 0x28 | FINAL, {
    last: page(R | X),
    access: Write,
  }),
  violation(
    'notWritable',
    VIOLATION,
    'a write with W=0 in an upper entry alone',
    2 | 0x28 | FINAL,
    {
      entries: { [PML4E]: frame(2) | R | X },
      last: page(RWX),
      access: Write,
    },
  ),
  violation('notExecutable', VIOLATION, 'a fetch with X=0', 4 | 0x18 | FINAL, {
    last: page(R | W),
    access: Fetch,
  }),
  violation(
    'notExecutable',
    VIOLATION,
    'a fetch with X=0 in an upper entry alone',
    4 | 0x18 | FINAL,
    {
      entries: { [PDE]: frame(4) | R | W },
      last: page(RWX),
      access: Fetch,
    },
  ),
  violation(
    'notExecutable',
    VIOLATION,
    'a fetch from a user-mode address with XU=0, X=1, with mode-based execute control',
    4 | 0x38 | FINAL,
    { last: page(RWX), options: MODE_BASED, access: Fetch | User, entries: pointers(RWX | XU) },
  ),
  violation(
    'notExecutable',
    VIOLATION,
    'a fetch from a supervisor-mode address with X=0, XU=1, with mode-based execute control',
    4 | 0x18 | 0x40 | FINAL,
    {
      ...{ last: page(R | W | XU), options: MODE_BASED, access: Fetch },
      entries: pointers(RWX | XU),
    },
  ),
  translated(VIOLATION, 'a fetch from a user-mode address with XU=0, without that control', {
    last: page(RWX),
    access: Fetch | User,
  }),
  violation(
    'notWritable',
    VIOLATION,
    'the reading of a guest table while flags are enabled',
    3 | 0x28 | TABLE,
    {
      last: page(R | X | A | D),
      options: AD,
      access: TABLE_READ,
    },
  ),
  translated(VIOLATION, 'the reading of a read-only guest table while they are not', {
    last: page(R),
    access: TABLE_READ,
  }),
  violation(
    'notWritable',
    VIOLATION,
    'the updating of one, which is a read, too',
    3 | 0x28 | TABLE,
    {
      last: page(R | X | A | D),
      options: AD,
      access: Write | ImplicitSupervisor,
    },
  ),
  violation('notWritable', VIOLATION, 'the updating of a guest table', 2 | 0x28 | TABLE, {
    last: page(R | X),
    access: Write | ImplicitSupervisor,
  }),
  {
    ...{ rule: 'writeWithoutRead', section: PRIORITY, answer: 'misconfiguration', access: Write },
    given: 'a misconfigured leaf below an entry that forbids the access',
    ...{ entries: { [PML4E]: frame(2) | R }, last: page(W) },
  },
  violation('notPresent', PRIORITY, 'an absent entry above a misconfigured one', 2 | FINAL, {
    entries: { [PDE]: frame(4) },
    last: page(W),
    access: Write,
  }),
];

const QUALIFICATIONS: readonly EptRuleCase[] = [
  violation(
    'notReadable',
    QUALIFICATION,
    'bits 0 and 1 for a read-modify-write',
    3 | 0x20 | FINAL,
    {
      last: page(X),
      access: Read | ReadModifyWrite,
    },
  ),
  violation('notWritable', QUALIFICATION, 'the same on a read-only page', 3 | 0x28 | FINAL, {
    last: page(R | X),
    access: Read | ReadModifyWrite,
  }),
  violation('notPresent', QUALIFICATION, 'bits 5:3 and 6 as 0 below an absent entry', 1 | FINAL, {
    last: 0n,
    options: MODE_BASED,
    entries: pointers(RWX | XU),
    access: Read,
  }),
  violation('notWritable', QUALIFICATION, 'bits 5:3 as the AND of all entries', 2 | 0x8 | FINAL, {
    entries: { [PDE]: frame(4) | R },
    last: page(RWX),
    access: Write,
  }),
  violation('notWritable', QUALIFICATION, 'bit 6 as the AND of XU', 2 | 0x68 | FINAL, {
    entries: pointers(RWX | XU),
    last: page(R | X | XU),
    options: MODE_BASED,
    access: Write,
  }),
  violation(
    'notWritable',
    QUALIFICATION,
    'bit 6 as 0 without mode-based execute control',
    2 | 0x28 | FINAL,
    {
      entries: pointers(RWX | XU),
      last: page(R | X | XU),
      access: Write,
    },
  ),
];

const ACCESSED = {
  [PML4E]: frame(2) | RWX | A,
  [PDPTE]: frame(3) | RWX | A,
  [PDE]: frame(4) | RWX | A,
};

const UPDATES: readonly EptRuleCase[] = [
  translated(FLAGS, 'no flag of any entry set while EPTP does not enable them', {
    last: page(RWX),
    access: Write,
    after: { ...pointers(RWX), [PTE]: page(RWX) },
  }),
  translated(FLAGS, 'A of every entry set by a read', {
    last: page(RWX),
    options: AD,
    access: Read,
    after: { ...ACCESSED, [PTE]: page(RWX | A) },
  }),
  translated(FLAGS, 'D of the leaf set by a write', {
    last: page(RWX),
    options: AD,
    access: Write,
    after: { ...ACCESSED, [PTE]: page(RWX | A | D) },
  }),
  translated(FLAGS, 'D of the leaf set by the reading of a guest table', {
    last: page(RWX),
    options: AD,
    access: TABLE_READ,
    after: { ...ACCESSED, [PTE]: page(RWX | A | D) },
  }),
  violation(
    'notWritable',
    FLAGS,
    'no flag set by a walk that ends in a violation',
    2 | 0x28 | FINAL,
    {
      last: page(R | X),
      options: AD,
      access: Write,
      after: { ...pointers(RWX), [PTE]: page(R | X) },
    },
  ),
  {
    ...{ rule: 'updateMissing', section: FLAGS, given: 'A=0 in a table in ROM' },
    ...{ last: page(RWX), options: AD, memory: 'rom', access: Read, answer: 'bus-error' },
  },
  violation('contended', FLAGS, 'an entry that changes whenever A is to be set', 1 | 0x38 | FINAL, {
    last: page(RWX),
    options: AD,
    memory: 'contended',
    access: Read,
  }),
];

/** All rows. */
export const EPT_CASES: readonly EptRuleCase[] = [
  ...TRANSLATIONS,
  ...MISCONFIGURATIONS,
  ...VIOLATIONS,
  ...QUALIFICATIONS,
  ...UPDATES,
];
