import { Access, type Address, VmError, type VmErrorCode } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  AArch64Stage2,
  AArch64Walker,
  Pmp,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

// Whatever a caller does wrong is a VmError that names the argument, and nothing has changed.

const LEAF = 0x77;

/** Tables that lead page 0 to frame 0x77 in one step, with A and D clear (`fresh`) or set. */
function ram(arch: Arch, fresh: boolean): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(0x8000 / 4);
  const step = arch === '32-bit' || arch === 'sv32' ? 1 : 2;
  const { depth, frame, leaf, pointer, set } = ENTRIES[arch];
  for (let table = 1; table <= depth; table++) {
    const next = table === depth ? LEAF : table + 1;
    words[((table * 1024) / step) * step] =
      (next << frame) | (table === depth ? leaf | (fresh ? 0 : set) : pointer);
  }
  return new Uint8Array(words.buffer);
}

const RISCV = { frame: 10, pointer: 1, leaf: 0x1f, set: 0xc0 } as const;
const X86 = { frame: 12, pointer: 0x27, leaf: 7, set: 0x60 } as const;

/** Tables down to a leaf, what entries of both kinds have, and what a walk sets in a leaf. */
const ENTRIES = {
  sv32: { ...RISCV, depth: 2 },
  sv39: { ...RISCV, depth: 3 },
  sv57: { ...RISCV, depth: 5 },
  '32-bit': { ...X86, depth: 2 },
  pae: { ...X86, depth: 2 },
  '4-level': { ...X86, depth: 4 },
  '5-level': { ...X86, depth: 5 },
  aarch64: { frame: 12, pointer: 3, leaf: 0x43, set: 0x400, depth: 3 },
  'aarch64 stage 2': { frame: 12, pointer: 3, leaf: 0xff, set: 0x400, depth: 3 },
} as const;

type Arch = keyof typeof ENTRIES;
const ARCHS: readonly Arch[] = [
  ...(['sv32', 'sv39', 'sv57', '32-bit', 'pae', '4-level', '5-level'] as const),
  ...(['aarch64', 'aarch64 stage 2'] as const),
];

function walkerOn(
  arch: Arch,
  memory: PhysicalMemory,
  pmp?: Pmp,
): RiscvWalker | X86Walker | AArch64Walker | AArch64Stage2 {
  const cr3 = 0x1000;
  const pdptes = [0x1001, 0, 0, 0];
  const riscv = { memory, adue: true, ...(pmp && { pmp }) };
  switch (arch) {
    case 'sv32':
      return new RiscvWalker({ ...riscv, xlen: 32, satp: 0x8000_0001 });
    case 'sv39':
      return new RiscvWalker({ ...riscv, satp: (8n << 60n) | 1n });
    case 'sv57':
      return new RiscvWalker({ ...riscv, satp: (10n << 60n) | 1n });
    case '32-bit':
      return new X86Walker({ memory, cr3, cr4: 0, efer: 0 });
    case 'pae':
      return new X86Walker({ memory, cr3, pdptes, efer: 0 });
    case '4-level':
      return new X86Walker({ memory, cr3 });
    case '5-level':
      return new X86Walker({ memory, cr3, cr4: 0x1020 });
    case 'aarch64':
      return new AArch64Walker({ memory, tcr: 25n | (5n << 32n) | (1n << 39n), ttbr0: 0x1000 });
    case 'aarch64 stage 2':
      return new AArch64Stage2({ memory, vtcr: 0x8025_0059, vttbr: 0x1000 });
  }
}

const NO_INTEGERS = [0.5, -0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
/** What no argument accepts, although the types forbid it already. */
const NO_NUMBERS = ['0', null, {}, [0]].map((value) => value as unknown as number);

/** Accesses of other architectures. */
function foreign(arch: Arch): readonly number[] {
  const { ImplicitSupervisor, Machine, Unprivileged, User, Fetch } = Access;
  if (arch === 'aarch64 stage 2') return [Unprivileged, Machine, Machine | Access.Write];
  // LDTR is EL1's, and fetches nothing.
  if (arch === 'aarch64') {
    const alien = [ImplicitSupervisor, Machine, Machine | Access.Write];
    return [...alien, Unprivileged | User, Unprivileged | Fetch];
  }
  return [Unprivileged, arch.startsWith('sv') ? ImplicitSupervisor : Machine];
}

const user = (kind: number, arch: Arch): number =>
  arch.startsWith('sv') ? kind | Access.User : kind;

describe.each(ARCHS)('%s: a bad argument of walk and probe', (arch) => {
  // Clear bits send the walk to the complete form, set ones let the fast path end it; a PMP adds its own.
  const grounds: readonly (readonly [string, boolean, boolean])[] = [
    ['on the fast path', false, false],
    ['when A and D are due', true, false],
    ['with a PMP', false, true],
  ];
  describe.each(grounds)('%s', (_, fresh, protectedMemory) => {
    const words = ram(arch, fresh);
    const before = words.slice();
    const memory = PhysicalMemory.wrap(words, { base: 0 });
    const pmp = new Pmp({ xlen: arch === 'sv32' ? 32 : 64 });
    pmp.setAddress(0, arch === 'sv32' ? 2 ** 32 - 1 : 2n ** 54n - 1n);
    pmp.setConfig(0, 0x1f);
    const walker = walkerOn(arch, memory, protectedMemory ? pmp : undefined);
    const read = user(Access.Read, arch);

    type Arguments = readonly [number, number, (number | undefined)?, (number | undefined)?];
    const refuses = (args: Arguments, code: VmErrorCode, argument: string): void => {
      expectError(() => walker.walk(...args), code, argument);
      expectError(() => walker.probe(...args), code, argument);
      expect(Buffer.compare(words, before)).toBe(0);
      expect(walker.probe(0, read)).toBe(LEAF);
    };

    it('vpn', () => {
      for (const vpn of [...NO_INTEGERS, ...NO_NUMBERS])
        refuses([vpn, read], 'bad-argument', 'vpn');
      for (const vpn of [-1, 2 ** 52, 2 ** 53, 1e300]) refuses([vpn, read], 'out-of-range', 'vpn');
    });

    it('vpn beyond a 32-bit address space', () => {
      if (['sv32', '32-bit', 'pae'].includes(arch)) {
        for (const vpn of [2 ** 20, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52 - 1]) {
          refuses([vpn, read], 'out-of-range', 'vpn');
        }
      } else {
        expect(walker.walk(2 ** 52 - 1, read)).toBeLessThan(0);
      }
    });

    it('access', () => {
      const kinds = [3, 3 | Access.User, Access.Fetch | Access.ReadModifyWrite];
      const unknown = [-1, 256, 257, 2 ** 32, 2 ** 32 + read, Access.Hlvx];
      const bad = [...kinds, ...unknown, ...foreign(arch), ...NO_INTEGERS, null, {}, undefined];
      for (const access of bad) refuses([0, access as number], 'bad-argument', 'access');
    });

    it('offset', () => {
      const bad = [...NO_INTEGERS, ...NO_NUMBERS];
      for (const offset of bad) refuses([0, read, offset], 'bad-argument', 'offset');
      for (const offset of [-1, 4096, 2 ** 32])
        refuses([0, read, offset], 'out-of-range', 'offset');
    });

    it('bytes', () => {
      const bad = [...NO_INTEGERS, ...NO_NUMBERS];
      for (const bytes of bad) refuses([0, read, 0, bytes], 'bad-argument', 'bytes');
      for (const bytes of [-1, 0, 4097, 2 ** 32])
        refuses([0, read, 0, bytes], 'out-of-range', 'bytes');
      refuses([0, read, 4093, 4], 'out-of-range', 'bytes');
      refuses([0, read, 4095, 2], 'out-of-range', 'bytes');
      expect(walker.probe(0, read, 4092, 4)).toBe(LEAF);
      expect(walker.probe(0, read, 0, 4096)).toBe(LEAF);
    });
  });
});

describe.each(ARCHS)('%s: a bad argument of translate and explain', (arch) => {
  const words = ram(arch, true);
  const before = words.slice();
  const walker = walkerOn(arch, PhysicalMemory.wrap(words, { base: 0 }));
  const read = user(Access.Read, arch);

  it('address', () => {
    const refuses = (va: Address, code: VmErrorCode): void => {
      expectError(() => walker.translate(va, read), code, 'address');
      expectError(() => walker.explain(va, read), code, 'address');
      expectError(() => walker.explain(va, read, { update: true }), code, 'address');
      expect(Buffer.compare(words, before)).toBe(0);
    };
    for (const va of [...NO_INTEGERS, ...NO_NUMBERS]) refuses(va, 'bad-argument');
    for (const va of [-1, -1n, 2n ** 64n, 2 ** 53]) refuses(va, 'out-of-range');
  });

  it('access', () => {
    for (const access of [3, -1, 0.5, Number.NaN, Access.Fetch | Access.ReadModifyWrite]) {
      expectError(() => walker.translate(0, access), 'bad-argument', 'access');
      expectError(() => walker.explain(0, access, { update: true }), 'bad-argument', 'access');
      expect(Buffer.compare(words, before)).toBe(0);
    }
  });
});

describe('a bad option or register', () => {
  const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
  const BAD: readonly (readonly [unknown, VmErrorCode])[] = [
    [0.5, 'bad-argument'],
    [Number.NaN, 'bad-argument'],
    ['1', 'bad-argument'],
    [null, 'bad-argument'],
    [-1, 'out-of-range'],
    [-1n, 'out-of-range'],
    [2 ** 53, 'out-of-range'],
    [2n ** 64n, 'out-of-range'],
  ];
  /** The types forbid some of these; they come from JavaScript. */
  const x86 = (name: string, value: unknown) =>
    new X86Walker({ memory, [name]: value } as unknown as { memory: PhysicalMemory });
  const riscv = (name: string, value: unknown) =>
    new RiscvWalker({ memory, [name]: value } as unknown as { memory: PhysicalMemory });

  it.each(['cr0', 'cr3', 'cr4', 'efer'])('of X86Walker: %s', (name) => {
    for (const [value, code] of BAD) {
      if (value === null) continue; // as good as absent
      expectError(() => x86(name, value), code, name);
    }
  });

  it.each(['cr0', 'cr4', 'efer'])('of X86Walker: %s, whose upper half is 0', (name) => {
    expectError(() => x86(name, 2n ** 32n), 'out-of-range', name);
  });

  it('of X86Walker: a root above MAXPHYADDR', () => {
    const machine = { memory, maxPhyAddr: 36 };
    expectError(() => new X86Walker({ ...machine, cr3: 2n ** 36n }), 'out-of-range', 'cr3');
    expect(new X86Walker({ ...machine, cr3: 2n ** 36n - 4096n }).cr3).toBe(2n ** 36n - 4096n);
  });

  it('of X86Walker: maxPhyAddr', () => {
    for (const value of [31, 53, -1, 2 ** 32]) {
      expectError(() => x86('maxPhyAddr', value), 'out-of-range', 'maxPhyAddr');
    }
    for (const value of [40.5, Number.NaN, '40']) {
      expectError(() => x86('maxPhyAddr', value), 'bad-argument', 'maxPhyAddr');
    }
  });

  it('of both: a memory that is none', () => {
    for (const value of [undefined, null, {}, new ArrayBuffer(4096)]) {
      expectError(() => x86('memory', value), 'bad-argument', 'memory');
      expectError(() => riscv('memory', value), 'bad-argument', 'memory');
    }
  });

  it('of X86Walker: pdptes', () => {
    for (const value of [[1, 2, 3], 'abcd', 4, null]) {
      expectError(() => x86('pdptes', value), 'bad-argument', 'pdptes');
    }
    for (const [value, code] of BAD) {
      expectError(() => x86('pdptes', [1, 1, value, 1]), code, 'pdptes');
    }
  });

  it.each(['pkru', 'pkrs'] as const)('of X86Walker: %s keeps its value', (name) => {
    const walker = new X86Walker({ memory });
    walker[name] = 0xdead_beef;
    for (const value of [-1, 2 ** 32]) {
      expectError(() => Object.assign(walker, { [name]: value }), 'out-of-range', name);
    }
    for (const value of [0.5, Number.NaN, '1', 1n]) {
      expectError(() => Object.assign(walker, { [name]: value }), 'bad-argument', name);
    }
    expect(walker[name]).toBe(0xdead_beef);
  });

  it.each([
    ['writeCr0', 'cr0'],
    ['loadCr3', 'cr3'],
    ['writeCr4', 'cr4'],
    ['writeEfer', 'efer'],
  ] as const)('of X86Walker: %s changes nothing', (method, register) => {
    const walker = new X86Walker({ memory, cr3: 0x1000 });
    const before = [walker.cr0, walker.cr3, walker.cr4, walker.efer];
    for (const [value, code] of BAD) {
      expectError(() => walker[method](value as Address), code, register);
    }
    expect([walker.cr0, walker.cr3, walker.cr4, walker.efer]).toEqual(before);
  });

  it('of RiscvWalker: xlen', () => {
    for (const value of [0, 33, 128, Number.NaN, '64']) {
      expectError(() => riscv('xlen', value), 'bad-argument', 'xlen');
    }
  });

  it('of RiscvWalker: satp', () => {
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n });
    for (const [value, code] of BAD) {
      expectError(() => walker.setSatp(value as Address), code, 'satp');
      if (value !== null) expectError(() => riscv('satp', value), code, 'satp');
    }
    expect(walker.satp).toBe((8n << 60n) | 1n);
    const narrow = { memory, xlen: 32 } as const;
    expectError(() => new RiscvWalker({ ...narrow, satp: 2n ** 32n }), 'out-of-range', 'satp');
    expectError(() => new RiscvWalker(narrow).setSatp(2n ** 32n), 'out-of-range', 'satp');
  });

  it.each(['tcr', 'ttbr0', 'ttbr1', 'sctlr', 'mair', 'hcr'] as const)(
    'of AArch64Walker: %s, and then nothing is written',
    (name) => {
      const walker = new AArch64Walker({ memory });
      const before = walker.snapshot();
      for (const [value, code] of BAD) {
        const make = () =>
          new AArch64Walker({ memory, [name]: value } as unknown as { memory: PhysicalMemory });
        expectError(make, code, name);
        expectError(() => walker.setRegisters({ tcr: 5n, [name]: value }), code, name);
      }
      expect(walker.snapshot()).toEqual(before);
    },
  );

  it.each(['vtcr', 'vttbr', 'hcr'] as const)(
    'of AArch64Stage2: %s, and then nothing is written',
    (name) => {
      const stage = new AArch64Stage2({ memory });
      const before = stage.snapshot();
      for (const [value, code] of BAD) {
        const make = () =>
          new AArch64Stage2({ memory, [name]: value } as unknown as { memory: PhysicalMemory });
        expectError(make, code, name);
        expectError(() => stage.setRegisters({ vttbr: 5n, [name]: value }), code, name);
      }
      expect(stage.snapshot()).toEqual(before);
    },
  );

  it('of both: observer', () => {
    for (const value of [1, 'log', {}]) {
      expectError(() => x86('observer', value), 'bad-argument', 'observer');
      expectError(() => riscv('observer', value), 'bad-argument', 'observer');
    }
  });
});

describe('a bad option or register of a second stage, and of AArch64', () => {
  const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
  const stages = {
    RiscvGStage: [RiscvGStage, {}],
    X86Ept: [X86Ept, { eptp: 0x101e }],
    X86Npt: [X86Npt, { cr3: 0x1000 }],
    AArch64Stage2: [AArch64Stage2, {}],
    AArch64Walker: [AArch64Walker, {}],
  } as const;
  type Name = keyof typeof stages;
  const make = (name: Name, option: string, value: unknown): unknown => {
    const [stage, sound] = stages[name];
    // The types forbid what comes from JavaScript.
    return Reflect.construct(stage, [{ memory, ...sound, [option]: value }]);
  };

  it.each<[Name, string]>([
    ['RiscvGStage', 'hgatp'],
    ['X86Ept', 'eptp'],
    ...['cr0', 'cr3', 'cr4', 'efer'].map((register): [Name, string] => ['X86Npt', register]),
    ...['vtcr', 'vttbr', 'hcr'].map((register): [Name, string] => ['AArch64Stage2', register]),
    ...['tcr', 'ttbr0', 'ttbr1', 'sctlr', 'mair', 'hcr'].map((register): [Name, string] => [
      'AArch64Walker',
      register,
    ]),
  ])('%s: %s', (name, register) => {
    for (const value of [0.5, Number.NaN, '1', {}, [0], true]) {
      expectError(() => make(name, register, value), 'bad-argument', register);
    }
    for (const value of [-1, -1n, 2 ** 53, 2n ** 64n]) {
      expectError(() => make(name, register, value), 'out-of-range', register);
    }
  });

  it.each(['X86Ept', 'X86Npt'] as const)('%s: maxPhyAddr', (name) => {
    for (const value of [31, 53, -1, 2 ** 32]) {
      expectError(() => make(name, 'maxPhyAddr', value), 'out-of-range', 'maxPhyAddr');
    }
    for (const value of [40.5, Number.NaN, '40']) {
      expectError(() => make(name, 'maxPhyAddr', value), 'bad-argument', 'maxPhyAddr');
    }
  });

  it.each(Object.keys(stages) as Name[])('%s: memory and observer', (name) => {
    for (const value of [undefined, null, {}, 7]) {
      expectError(() => make(name, 'memory', value), 'bad-argument', 'memory');
    }
    for (const value of [1, 'log', {}]) {
      expectError(() => make(name, 'observer', value), 'bad-argument', 'observer');
    }
  });

  it('RiscvGStage: xlen and PMP', () => {
    for (const value of [0, 33, '64', null]) {
      expectError(() => make('RiscvGStage', 'xlen', value), 'bad-argument', 'xlen');
    }
    for (const value of [{}, new Pmp({ xlen: 32 })]) {
      expectError(() => make('RiscvGStage', 'pmp', value), 'bad-argument', 'pmp');
    }
    expectError(
      () => new RiscvGStage({ memory, xlen: 32, hgatp: 2n ** 32n }),
      'out-of-range',
      'hgatp',
    );
  });

  it('a register that is refused stays as it was, and so do those written with it', () => {
    const stage = new RiscvGStage({ memory, hgatp: (8n << 60n) | 4n });
    const ept = new X86Ept({ memory, eptp: 0x101e });
    const npt = new X86Npt({ memory, cr3: 0x1000 });
    const stage2 = new AArch64Stage2({ memory, vtcr: 0x8005_0059n, vttbr: 0x1000 });
    const stage1 = new AArch64Walker({ memory, tcr: 25n, ttbr0: 0x1000 });
    const walkers = [stage, ept, npt, stage2, stage1];
    const before = walkers.map((walker) => walker.snapshot());
    for (const bad of [0.5, '1', null, -1, 2n ** 64n]) {
      const value = bad as Address;
      for (const write of [
        () => stage.setHgatp(value),
        () => ept.setEptp(value),
        () => npt.setNcr3(value),
        () => stage2.setRegisters({ vttbr: 0x2000n, vtcr: value }),
        () => stage1.setRegisters({ ttbr0: 0x2000n, tcr: value }),
      ]) {
        expect(write).toThrow(VmError);
      }
    }
    expect(() => stage1.setRegisters({ ttbr0: 0x2000n, sctlr: 1n << 25n })).toThrow(VmError);
    expect(() => npt.setNcr3(1n << 63n)).toThrow(VmError);
    expect(() => ept.setEptp(0x1000)).toThrow(VmError);
    expect(walkers.map((walker) => walker.snapshot())).toEqual(before);
    for (const walker of walkers) walker.checkInvariants();
  });
});
