import type { CaseFormat } from '../case-format.js';
import { Fields, list, Malformed, parseJson } from '../fields.js';
import type { RecordedFile } from '../recorded-file.js';
import { reasonOf, type Tally } from '../tally.js';
import { FAMILIES, type FamilyJudge } from './textbook-families.js';

/** Families of problems that nothing in the library answers yet. Any other family without a judge fails. */
const NOT_YET: ReadonlySet<string> = new Set([
  ...['ostep.malloc', 'effective-access-time', 'hole-fit', 'buddy'],
  ...['page-table-accesses', 'fragmentation'],
]);

/** Problems of textbooks with known answers: one file, many cases. */
export const textbook: CaseFormat = {
  name: 'textbook problems',
  recognises: (file) => file.text.includes('"vm-textbook/1"'),
  replay: replayFile,
};

function replayFile(file: RecordedFile, tally: Tally): void {
  const whole = new Fields(parseJson(file.text, file.name), file.name);
  whole.only(['schema', 'cases'], ['description', 'schemaNotes']);
  const cases = whole.list('cases');
  if (whole.value('schema') !== 'vm-textbook/1') throw new Malformed('schema is not vm-textbook/1');
  if (cases.length === 0) throw new Malformed('there are no cases');
  cases.forEach((value, index) => {
    replayCase(value, index, tally);
  });
}

function replayCase(value: unknown, index: number, tally: Tally): void {
  try {
    const problem = new Fields(value, `case ${index}`).only(
      ['id', 'family', 'source', 'verified', 'input', 'expected'],
      ['notes'],
    );
    const family = problem.text('family');
    const id = problem.text('id');
    if (NOT_YET.has(family)) {
      tally.setAside(1);
      return;
    }
    const judge = FAMILIES.get(family);
    if (judge === undefined) throw new Malformed(`there is no family ${family}`);
    tally.judge(`${family}: ${id}`, () => verdict(judge, problem));
  } catch (error) {
    tally.refuse(`case ${index}`, 1, `  ${reasonOf(error)}`);
  }
}

function verdict(judge: FamilyJudge, problem: Fields): string | null {
  const expected = problem.value('expected');
  const got = judge(problem.object('input'), expected);
  const [ours, theirs] = [canonical(got), canonical(expected)];
  return ours === theirs ? null : `  ours: ${ours}\n  theirs: ${theirs}`;
}

/** JSON with the keys in order: equal for equal values. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${list(value, 'the list').map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  const keys = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${keys.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
}
