import { expect } from 'vitest';
import {
  type Edit,
  edit,
  fixtureLines,
  flip,
  type LooseAccess,
  type LooseImage,
  put,
  replayFiles,
} from './workbench.js';

// One access of a recorded image is changed, and the runner must notice just that.

/** A change of one access; it may look at the image. */
export type Change = (access: LooseAccess, image: LooseImage) => void;

/** Which access is wanted. */
export type Wanted = (access: LooseAccess) => boolean;

/** What is corrupted, in which access, and how. */
export type Corruption = [what: string, wanted: Wanted, change: Change];

/** Exactly the changed case fails, the first that is wanted, and the explanation names it; its neighbours pass. */
export function expectNoticed(name: string, wanted: Wanted, change: Change): void {
  const lines = fixtureLines(name);
  const parsed = (line: string): LooseImage => JSON.parse(line); // the fixture is known to have this shape
  const at = lines.findIndex((line) => parsed(line).accesses.some(wanted));
  const image = parsed(lines[at]!);
  change(image.accesses.find(wanted)!, image);
  const [before, after] = [lines.slice(Math.max(0, at - 1), at), lines.slice(at + 1, at + 2)];
  const cases = [...before, JSON.stringify(image), ...after].join('\n');
  const { failed, files, ok } = replayFiles({ 'cases.ndjson': cases });
  expect([failed, ok]).toEqual([1, false]);
  expect(files[0]!.disagreements).toHaveLength(1);
  expect(files[0]!.disagreements[0]).toContain(`line ${before.length + 1},`);
}

export const has =
  (key: string): Wanted =>
  ({ result }) =>
    Object.hasOwn(result, key);
export const lacks =
  (key: string): Wanted =>
  (access) =>
    !has(key)(access);
export const both =
  (...wanted: Wanted[]): Wanted =>
  (access) =>
    wanted.every((one) => one(access));
export const changes: Wanted = ({ after }) => after !== undefined;
const changesTwo: Wanted = ({ after }) => after !== undefined && Object.keys(after).length > 1;
const changesNothing: Wanted = ({ after }) => after === undefined;

export const setResult = (result: Record<string, unknown>): Change => put('result', result);
export const inResult =
  (change: Edit): Change =>
  ({ result }) =>
    change(result);
export const flipResult = (key: string, bit: number): Change =>
  inResult(edit(key, (value) => flip(value, bit)));
export const bump = (key: string, by: number): Change =>
  inResult(edit(key, (value) => Number(value) + by));
export const flag = (key: string): Edit => edit(key, (value) => 1 - Number(value));

const flipAfter: Change = ({ after }) => {
  const address = Object.keys(after!)[0]!;
  after![address] = flip(after![address], 8);
};
const forgetOneOfAfter: Change = ({ after }) => {
  delete after![Object.keys(after!)[0]!];
};
const forgetAfter: Change = (access) => {
  delete access.after;
};
const inventAfter: Change = (access, { mem }) => {
  const [address, value] = Object.entries(mem)[0]!;
  access.after = { [address]: flip(value, 9) };
};
const addToAfter: Change = (access, { mem }) => {
  const [address, value] = Object.entries(mem).find(([key]) => !Object.hasOwn(access.after!, key))!;
  access.after![address] = flip(value, 9);
};
const listUnchanged: Change = (access, { mem }) => {
  const [address, value] = Object.entries(mem)[0]!;
  access.after = { [address]: value };
};
const inventElsewhere: Change = (access) => {
  access.after = { '80000008': '1' };
};

/** What can be wrong with the entries that an access changes. */
export const AFTER: readonly Corruption[] = [
  ['value after', changes, flipAfter],
  ['missing after', changes, forgetAfter],
  ['one after more', changes, addToAfter],
  ['extra after', changesNothing, inventAfter],
  ['extra after of an unchanged entry', changesNothing, listUnchanged],
  ['extra after outside the image', changesNothing, inventElsewhere],
];

/** The same where an access changes several. */
export const ONE_OF_AFTER: Corruption = [
  'one of several after, missing',
  changesTwo,
  forgetOneOfAfter,
];

/** Whether some image of a recording has accesses that a change of the image makes fail. */
export function someImageNotices(name: string, change: (image: LooseImage) => void): boolean {
  return fixtureLines(name).some((line) => {
    const image: LooseImage = JSON.parse(line); // the fixture is known to have this shape
    change(image);
    return replayFiles({ 'cases.ndjson': JSON.stringify(image) }).failed > 0;
  });
}
