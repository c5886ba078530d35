import { VmError } from 'pagewright/core';
import {
  AArch64Regime,
  aarch64Invalidations,
  type FlushScope,
  type InvalidationRule,
  riscvInvalidations,
  structureLevels,
  type TlbContext,
  TlbHierarchy,
  x86Invalidations,
} from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

// Every cache is filled in several contexts; a row says what is left, by names:
//
//   context.page    a translation: page `a` (one base page), `b` (another), `S` (a superpage), `g` (global)
//   context/b       the paging-structure entry above a, b and g; context/S: that above S
//   context:f       the second-stage translation of guest frame 0x50; :h of 0x290
//   context^f       the second stage's paging-structure entry above it; ^h that above 0x290
const A = 0x200;
const B = 0x201;
const G = 0x202;
const SUPERPAGE = 0x40000;

type Contexts = Readonly<Record<string, TlbContext>>;

interface Row {
  readonly rule: InvalidationRule<never>;
  readonly scopes: readonly FlushScope[];
  /** What goes; everything else stays. */
  readonly gone: string;
}

function row<Operands>(rule: InvalidationRule<Operands>, operands: Operands, gone: string): Row {
  return { rule, scopes: rule.scopes(operands), gone };
}

function filled(contexts: Contexts): TlbHierarchy {
  const tlbs = new TlbHierarchy({
    fetch: [],
    load: [{ entries: 64 }],
    structures: { tableLevels: 4, levels: structureLevels({ indexBits: 9, entries: [64] }) },
    nested: { entries: 64 },
    nestedStructures: { tableLevels: 4, levels: structureLevels({ indexBits: 9, entries: [64] }) },
  });
  for (const context of Object.values(contexts)) {
    tlbs.context = tlbs.contexts.intern(context);
    tlbs.fill({ vpn: A, pfn: 1 }, 0);
    tlbs.fill({ vpn: B, pfn: 2 }, 0);
    tlbs.fill({ vpn: SUPERPAGE, pfn: 0x400, order: 9 }, 0);
    tlbs.fill({ vpn: G, pfn: 3, global: true }, 0);
    tlbs.structures?.fill(1, A, 9);
    tlbs.structures?.fill(1, SUPERPAGE, 10);
    tlbs.nested?.fill(0x50, 0x70, 1);
    tlbs.nested?.fill(0x290, 0x71, 1);
    tlbs.nestedStructures?.fill(1, 0x50, 11);
    tlbs.nestedStructures?.fill(1, 0x290, 12);
  }
  return tlbs;
}

/** The names of everything that is there. A global page and a second stage are the same for all ASIDs of a root. */
function present(tlbs: TlbHierarchy, contexts: Contexts): readonly string[] {
  return Object.entries(contexts).flatMap(([name, context]) => {
    tlbs.context = tlbs.contexts.intern(context);
    const has = (vpn: number): boolean => tlbs.load[0]!.peek(vpn) >= 0;
    const marks: readonly [string, boolean][] = [
      [`${name}.a`, has(A)],
      [`${name}.b`, has(B)],
      [`${name}.S`, has(SUPERPAGE + 5)],
      [`${name}.g`, has(G)],
      [`${name}/a`, tlbs.structures!.find(A) >= 0],
      [`${name}/S`, tlbs.structures!.find(SUPERPAGE) >= 0],
      [`${name}:f`, tlbs.nested!.peek(0x50) >= 0],
      [`${name}:h`, tlbs.nested!.peek(0x290) >= 0],
      [`${name}^f`, tlbs.nestedStructures!.find(0x50) >= 0],
      [`${name}^h`, tlbs.nestedStructures!.find(0x290) >= 0],
    ];
    return marks.filter(([, there]) => there).map(([mark]) => mark);
  });
}

/** What a row drops, beside what is written with * for all names of a context. */
function dropped(gone: string, contexts: Contexts): readonly string[] {
  const all = ['.a', '.b', '.S', '.g', '/a', '/S', ':f', ':h', '^f', '^h'];
  return gone.split(' ').flatMap((mark) => {
    if (mark === '') return [];
    const name = Object.keys(contexts).find((one) => mark.startsWith(one));
    if (name === undefined) throw new Error(`no context ${mark}`);
    const rest = mark.slice(name.length);
    if (rest === '*') return all.map((one) => name + one);
    return rest.match(/[./:^]\w/g)!.map((one) => name + one);
  });
}

function check(contexts: Contexts, { gone, scopes }: Row): void {
  const tlbs = filled(contexts);
  const before = present(tlbs, contexts);
  expect(before).toHaveLength(10 * Object.keys(contexts).length);
  for (const scope of scopes) tlbs.flush(scope);
  tlbs.checkInvariants();
  const after = present(tlbs, contexts);
  expect(before.filter((mark) => !after.includes(mark)).sort()).toEqual(
    [...dropped(gone, contexts)].sort(),
  );
}

const title = ({ gone, rule }: Row): string => `${rule.instruction}: ${gone || 'nothing'}`;

describe('x86, without virtual machines', () => {
  // PCIDs of one root, which share their global pages.
  const contexts: Contexts = { p0: {}, p1: { asid: 1 }, p2: { asid: 2 } };
  const p = x86Invalidations;
  const at = { pcid: 1 };
  const rows: readonly Row[] = [
    row(p.invlpg, { ...at, vpn: A }, 'p1.a/a/S'),
    row(p.invlpg, { ...at, vpn: SUPERPAGE + 77 }, 'p1.S/a/S'),
    row(p.invlpg, { ...at, vpn: G }, 'p0.g p1.g/a/S p2.g'),
    row(p.invpcidAddress, { ...at, vpn: A }, 'p1.a/a'),
    row(p.invpcidAddress, { ...at, vpn: G }, 'p1/a'),
    row(p.invpcidContext, at, 'p1.a.b.S/a/S'),
    row(p.invpcidAll, {}, 'p0.a.b.S.g/a/S p1.a.b.S.g/a/S p2.a.b.S.g/a/S'),
    row(p.invpcidAllButGlobal, {}, 'p0.a.b.S/a/S p1.a.b.S/a/S p2.a.b.S/a/S'),
    row(p.movToCr3, { pcid: 2 }, 'p2.a.b.S/a/S'),
    row(p.movToCr3, { pcid: 2, noFlush: true }, ''),
    row(p.taskSwitch, {}, 'p0.a.b.S/a/S'),
    row(p.movToCr4Global, at, 'p0.a.b.S.g/a/S p1.a.b.S.g/a/S p2.a.b.S.g/a/S'),
    row(p.movToCr4Context, at, 'p0.g p1.a.b.S.g/a/S p2.g'),
    row(p.movToCr0, at, 'p0.a.b.S.g/a/S p1.a.b.S.g/a/S p2.a.b.S.g/a/S'),
    row(p.pageFault, { ...at, vpn: A }, 'p1.a/a'),
    row(p.pageFault, { ...at, vpn: G }, 'p0.g p1.g/a p2.g'),
  ];
  it.each(rows.map((one) => [title(one), one] as const))('%s', (_title, one) => {
    check(contexts, one);
  });
});

describe('x86, with virtual machines', () => {
  const contexts: Contexts = {
    host: { vmid: 0, root: 0 },
    guest1: { vmid: 1, root: 1 },
    guest2: { vmid: 2, root: 1 },
    plain: { vmid: 3, root: 0 },
  };
  const p = x86Invalidations;
  const first = '.a.b.S.g/a/S';
  const rows: readonly Row[] = [
    row(p.invlpg, { vpid: 1, vpn: A }, 'guest1.a/a/S'),
    row(p.vmxTransition, {}, `host${first}`),
    row(p.invvpidAddress, { vpid: 1, vpn: A }, 'guest1.a/a'),
    row(p.invvpidAddress, { vpid: 1, vpn: G }, 'guest1.g/a'),
    row(p.invvpidContext, { vpid: 1 }, `guest1${first}`),
    row(p.invvpidAll, {}, `guest1${first} guest2${first} plain${first}`),
    row(p.invvpidContextButGlobal, { vpid: 1 }, 'guest1.a.b.S/a/S'),
    row(p.inveptContext, { root: 1 }, 'guest1* guest2*'),
    row(p.inveptAll, {}, 'guest1* guest2*'),
    row(p.invlpga, { asid: 2, vpn: G }, 'guest2.g/a/S'),
    row(p.invlpga, { asid: 2, vpn: G, tce: true }, 'guest2.g/a'),
    row(p.invlpgb, { asid: 2, vpn: B }, 'guest2.b/a/S'),
    row(p.invlpgb, { asid: 2, vpn: A, pages: 3, tce: true }, 'guest2.a.b/a'),
    row(p.invlpgb, { asid: 2, vpn: G, globals: true, finalOnly: true }, 'guest2.g'),
    row(p.invlpgb, { pcid: 1 }, ''),
    row(p.invlpgb, { asid: 1, globals: true, nested: true }, 'guest1*'),
    row(
      p.eptViolation,
      { vpid: 1, pcid: 0, root: 1, vpn: A, gpn: 0x50 },
      'guest1.a/a:f^f guest2:f^f',
    ),
    row(p.vmrunAll, {}, 'host* guest1* guest2* plain*'),
    row(p.vmrunGuest, { asid: 2 }, 'guest2*'),
    row(p.vmrunGuestButGlobal, { asid: 2 }, 'guest2.a.b.S/a/S'),
  ];
  it.each(rows.map((one) => [title(one), one] as const))('%s', (_title, one) => {
    check(contexts, one);
  });
});

describe('RISC-V', () => {
  const contexts: Contexts = {
    h1: { asid: 1, root: 0 },
    h2: { asid: 2, root: 0 },
    v1: { asid: 1, vmid: 7, root: 1 },
    w1: { asid: 1, vmid: 8, root: 1 },
  };
  const r = riscvInvalidations;
  const first = '.a.b.S.g/a/S';
  const guest = { vmid: 7 };
  const fences: readonly InvalidationRule<Parameters<typeof r.sfenceVma.scopes>[0]>[] = [
    r.sfenceVma,
    r.sinvalVma,
  ];
  const rows: readonly Row[] = [
    ...fences.flatMap((fence) => [
      row(fence, {}, `h1${first} h2${first}`),
      row(fence, { asid: 1 }, 'h1.a.b.S/a/S'),
      row(fence, { vpn: A }, 'h1.a h2.a'),
      row(fence, { vpn: G }, 'h1.g h2.g'),
      row(fence, { vpn: SUPERPAGE + 1, asid: 2 }, 'h2.S'),
      row(fence, { vpn: G, asid: 1 }, ''),
      row(fence, { guest }, `v1${first}`),
      row(fence, { guest, vpn: A, asid: 1 }, 'v1.a'),
    ]),
    row(r.sfenceWInval, {}, ''),
    row(r.sfenceInvalIr, {}, ''),
    ...[r.hfenceVvma, r.hinvalVvma].flatMap((fence) => [
      row(fence, { vmid: 7 }, `v1${first}`),
      row(fence, { vmid: 8, asid: 1 }, 'w1.a.b.S/a/S'),
      row(fence, { vmid: 8, vpn: G }, 'w1.g'),
      row(fence, { vmid: 8, vpn: G, asid: 1 }, ''),
    ]),
    ...[r.hfenceGvma, r.hinvalGvma].flatMap((fence) => [
      row(fence, {}, 'v1* w1*'),
      row(fence, { vmid: 7 }, 'v1*'),
      row(fence, { vmid: 7, gpn: 0x50 }, `v1${first}:f`),
      row(fence, { gpn: 0x290 }, `v1${first}:h w1${first}:h`),
    ]),
  ];
  it.each(rows.map((one) => [title(one), one] as const))('%s', (_title, one) => {
    check(contexts, one);
  });
});

describe('AArch64', () => {
  const contexts: Contexts = {
    m1: { asid: 1, vmid: 5, root: AArch64Regime.EL10 },
    m2: { asid: 2, vmid: 5, root: AArch64Regime.EL10 },
    n1: { asid: 1, vmid: 6, root: AArch64Regime.EL10 },
    e2: { root: AArch64Regime.EL2 },
    h1: { asid: 1, root: AArch64Regime.EL20 },
    e3: { root: AArch64Regime.EL3 },
  };
  const t = aarch64Invalidations;
  const first = '.a.b.S.g/a/S';
  const vm = { vmid: 5 };
  const near = { vpn: 0x180, scale: 0, num: 31 }; // 64 pages
  const wide = { vpn: 0x180, scale: 1, num: 1 }; // 128 pages: A, but not the one after
  const rows: readonly Row[] = [
    row(t.vae1, { ...vm, asid: 1, vpn: A }, 'm1.a/a'),
    row(t.vae1, { ...vm, asid: 1, vpn: G }, 'm1.g/a m2.g'),
    row(t.vale1, { ...vm, asid: 1, vpn: SUPERPAGE + 3 }, 'm1.S'),
    row(t.vaae1, { ...vm, vpn: A }, 'm1.a/a m2.a/a'),
    row(t.vaale1, { ...vm, vpn: A }, 'm1.a m2.a'),
    row(t.aside1, { ...vm, asid: 1 }, 'm1.a.b.S/a/S'),
    row(t.vmalle1, vm, `m1${first} m2${first}`),
    row(t.vmalls12e1, vm, 'm1* m2*'),
    row(t.alle1, {}, 'm1* m2* n1*'),
    row(t.rvae1, { ...vm, asid: 1, ...near }, ''),
    row(t.rvae1, { ...vm, asid: 1, ...wide, vpn: 0x181 }, 'm1.a/a'),
    row(t.rvae1, { ...vm, asid: 1, ...wide, vpn: 0x200 }, 'm1.a.b.g/a m2.g'),
    row(t.rvale1, { ...vm, asid: 2, ...wide, vpn: 0x200 }, 'm2.a.b.g m1.g'),
    row(t.rvaae1, { ...vm, ...wide, vpn: 0x201 }, 'm1.b.g/a m2.b.g/a'),
    row(t.rvaale1, { ...vm, ...wide, vpn: 0x201 }, 'm1.b.g m2.b.g'),
    row(t.ipas2e1, { ...vm, ipn: 0x50 }, 'm1:f^f m2:f^f'),
    row(t.ipas2le1, { vmid: 6, ipn: 0x290 }, 'n1:h'),
    row(t.ripas2e1, { ...vm, vpn: 0x40, scale: 0, num: 15 }, 'm1:f^f m2:f^f'),
    row(t.ripas2e1, { vmid: 6, vpn: 0x280, scale: 1, num: 0 }, 'n1:h^h'),
    row(t.ripas2le1, { ...vm, vpn: 0x40, scale: 0, num: 15 }, 'm1:f m2:f'),
    row(t.vae2, { vpn: A }, 'e2.a/a'),
    row(t.vale2, { vpn: A }, 'e2.a'),
    row(t.alle2, {}, `e2${first}`),
    row(t.alle2, { e2h: true }, `h1${first}`),
    row(t.vae2, { asid: 1, vpn: A }, 'h1.a/a'),
    row(t.vae2, { asid: 2, vpn: A }, ''),
    row(t.vale2, { asid: 2, vpn: G }, 'h1.g'),
    row(t.rvae2, { ...wide, vpn: 0x200 }, 'e2.a.b.g/a'),
    row(t.rvae2, { asid: 2, ...wide, vpn: 0x200 }, 'h1.g'),
    row(t.rvale2, { ...wide, vpn: 0x201 }, 'e2.b.g'),
    row(t.rvale2, { asid: 1, ...wide, vpn: 0x201 }, 'h1.b.g'),
    row(t.vae1, { host: true, asid: 1, vpn: B }, 'h1.b/a'),
    row(t.rvaale1, { host: true, ...wide, vpn: 0x201 }, 'h1.b.g'),
    row(t.rvale1, { host: true, asid: 2, ...wide, vpn: 0x201 }, 'h1.g'),
    row(t.aside1, { host: true, asid: 1 }, 'h1.a.b.S/a/S'),
    row(t.vmalle1, { host: true }, `h1${first}`),
    row(t.vae3, { vpn: G }, 'e3.g/a'),
    row(t.vale3, { vpn: G }, 'e3.g'),
    row(t.rvae3, { ...wide, vpn: 0x201 }, 'e3.b.g/a'),
    row(t.rvale3, { ...wide, vpn: 0x200 }, 'e3.a.b.g'),
    row(t.alle3, {}, `e3${first}`),
  ];
  it.each(rows.map((one) => [title(one), one] as const))('%s', (_title, one) => {
    check(contexts, one);
  });

  it('refuses a range that no operand says', () => {
    expect(() => t.rvaae1.scopes({ vpn: 0, scale: 4, num: 0 })).toThrow(VmError);
    expect(() => t.rvaae1.scopes({ vpn: 0, scale: 0, num: 32 })).toThrow(VmError);
  });
});

describe('operands', () => {
  const tables = [x86Invalidations, riscvInvalidations, aarch64Invalidations];
  const rules = tables.flatMap((table) => Object.entries<InvalidationRule<never>>(table));
  const scopesOf = (rule: InvalidationRule<never>, operands: unknown): readonly FlushScope[] =>
    Reflect.apply(rule.scopes, rule, [operands]);
  // More than any row takes. None is the default of one that may be left out.
  const every = {
    ...{ vpn: 3, ipn: 4, gpn: 5, asid: 6, vmid: 7, vpid: 8, pcid: 9, root: 10 },
    ...{ num: 1, scale: 1 },
  };
  /** Whether a row knows an operand by its name. */
  const knows = (rule: InvalidationRule<never>, name: string): boolean => {
    try {
      scopesOf(rule, { [name]: 1 });
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      return error.details.argument !== `operands.${name}`;
    }
    return true;
  };
  type Operands = Partial<typeof every>;
  /** Those that a row knows. */
  const takenBy = (rule: InvalidationRule<never>): Operands =>
    Object.fromEntries(Object.entries(every).filter(([name]) => knows(rule, name)));
  const without = ['vmxTransition', 'invvpidAll', 'inveptAll', 'vmrunAll', 'alle1', 'alle3'];
  const orders = ['sfenceWInval', 'sfenceInvalIr'];
  const everyPage = ['invlpgb', 'sfenceVma', 'sinvalVma', 'hfenceVvma', 'hinvalVvma'];
  /** The operands that a row goes by. */
  const operandsOf = (rule: InvalidationRule<never>): readonly (keyof Operands)[] => {
    const all = takenBy(rule);
    const scopes = JSON.stringify(scopesOf(rule, all));
    const names = [
      ...(['vpn', 'ipn', 'gpn', 'asid', 'vmid', 'vpid', 'pcid', 'root', 'num', 'scale'] as const),
    ];
    return names.filter((name) => {
      const value = all[name];
      if (value === undefined) return false;
      return JSON.stringify(scopesOf(rule, { ...all, [name]: value + 1 })) !== scopes;
    });
  };

  it.each(rules)('of %s are those that it goes by, and no others', (name, rule) => {
    if ([...without, ...orders].includes(name)) return;
    // Where the processor is, some reach every PCID.
    const wide = ['invpcidAll', 'invpcidAllButGlobal', 'movToCr4Global', 'movToCr0'];
    const idle = wide.includes(name) ? ['pcid'] : [];
    const known = Object.keys(every).filter((operand) => knows(rule, operand));
    expect(known.sort()).toEqual([...operandsOf(rule), ...idle].sort());
  });

  it.each(rules)('of %s are refused unless they are numbers in range', (name, rule) => {
    const operands = operandsOf(rule);
    expect(operands.length === 0).toBe([...without, ...orders, 'alle2'].includes(name));
    for (const operand of operands) {
      for (const wrong of [-1, 0.5, 2 ** 53, Number.NaN, null, 'x']) {
        expect(() => scopesOf(rule, { ...takenBy(rule), [operand]: wrong })).toThrow(VmError);
      }
    }
  });

  it.each(rules)(
    'of %s that name a page may not be missing, unless that means every page',
    (name, rule) => {
      for (const operand of operandsOf(rule)) {
        if (!['vpn', 'ipn', 'num', 'scale'].includes(operand) || everyPage.includes(name)) continue;
        for (const missing of [{}, { ...takenBy(rule), [operand]: undefined }]) {
          expect(() => scopesOf(rule, missing)).toThrow(VmError);
        }
      }
    },
  );

  it.each(rules.filter(([name]) => ![...without, ...orders].includes(name)))(
    'of %s are an object of operands that there are',
    (_name, rule) => {
      for (const wrong of [null, undefined, 5, 'x', [], { ...takenBy(rule), page: 3 }]) {
        expect(() => scopesOf(rule, wrong)).toThrow(VmError);
      }
    },
  );

  it('of a fence in a guest are the virtual machine', () => {
    for (const guest of [null, 5, {}, { vmid: 2 ** 16 }]) {
      expect(() => scopesOf(riscvInvalidations.sfenceVma, { guest })).toThrow(VmError);
    }
  });

  it('do not say that EL2 is a host where there is a second stage', () => {
    const { ipas2e1, vmalls12e1 } = aarch64Invalidations;
    for (const [rule, operands] of [
      [ipas2e1, { vmid: 5, ipn: 3 }],
      [vmalls12e1, { vmid: 5 }],
    ] as const) {
      expect(scopesOf(rule, operands).length).toBeGreaterThan(0);
      expect(() => scopesOf(rule, { ...operands, host: true })).toThrow(VmError);
    }
  });
});

it('every row of every table says where it is from, and what it does', () => {
  const tables = [x86Invalidations, riscvInvalidations, aarch64Invalidations];
  const rules = tables.flatMap((table) => Object.values<{ source: string; effect: string }>(table));
  expect(rules).toHaveLength(24 + 8 + 26);
  for (const { effect, source } of rules) {
    expect(source).toMatch(/^(Intel SDM|AMD64 APM|RISC-V Privileged|Arm ARM)/);
    expect(effect).not.toBe('');
  }
});
