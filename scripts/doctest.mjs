// Turns every ts example of README, docs and TSDoc comments into a vitest test under test/generated.
//
// A block is the body of an async test of its own; its imports move to the top of the file. `expr; // => value` becomes
// an assertion, and so does `console.log(expr); // => value`; the marker may stand on the line below. Whatever looks
// like an example and cannot be run is an error: a marker that is no assertion, an @example without a block, JavaScript
// or TypeScript under another tag.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const OUT = 'test/generated';
const MARKER = /\/\/\s*=>/;
const OTHER_CODE_TAG = /^(ts\W.*|typescript|tsx|mts|js|javascript|jsx|mjs)\b/i;

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const problems = [];
const problem = (file, line, text) => problems.push(`${file}:${line}: ${text}`);

const outputs = new Map();
let count = 0;
for (const file of sources()) {
  const examples = blocksOf(file).map((block) => exampleOf(file, block));
  count += examples.length;
  groupsOf(examples).forEach((group, i) => {
    const name = `${file.replaceAll(/[^\w]+/g, '-')}${i === 0 ? '' : `-${i + 1}`}.test.ts`;
    outputs.set(join(OUT, name), testFile(file, group));
  });
}
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
write();
console.log(`${count} examples in ${outputs.size} files of ${OUT}`);

function sources() {
  const under = (folder, extension) =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
          .map((name) => join(folder, name).replaceAll('\\', '/'))
          .filter((name) => name.endsWith(extension))
      : [];
  return [
    ...['README.md'].filter((name) => existsSync(name)),
    ...under('docs', '.md').filter((name) => !name.startsWith('docs/api/')),
    ...under('src', '.ts'),
  ].sort();
}

/** The ts blocks of a file: `{ line, code }`, where line is that of the opening fence. */
function blocksOf(file) {
  const text = readFileSync(file, 'utf8');
  if (file.endsWith('.md')) return fencedBlocks(file, text.split('\n'), 1);
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap(({ 0: comment, index }) => {
    const firstLine = text.slice(0, index).split('\n').length;
    const lines = comment.split('\n').map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*) ?/, ''));
    const blocks = fencedBlocks(file, lines, firstLine);
    checkExampleTags(file, lines, firstLine, blocks);
    return blocks;
  });
}

function fencedBlocks(file, lines, firstLine) {
  const blocks = [];
  let open;
  lines.forEach((line, i) => {
    const [, indent = '', fence = '', tag = ''] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open === undefined) {
      if (fence === '') return;
      open = { line: firstLine + i, indent, fence, tag: tag.trim(), code: [] };
    } else if (fence.startsWith(open.fence) && tag.trim() === '') {
      if (open.tag === 'ts') blocks.push({ line: open.line, code: open.code.join('\n') });
      else if (OTHER_CODE_TAG.test(open.tag))
        problem(file, open.line, `tag it ts, not ${open.tag}`);
      else if (MARKER.test(open.code.join('\n'))) problem(file, open.line, 'a marker outside ts');
      open = undefined;
    } else {
      open.code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    }
  });
  if (open !== undefined) problem(file, open.line, 'a fence that is never closed');
  return blocks;
}

/** Every `@example` holds a ts block before the next tag. */
function checkExampleTags(file, lines, firstLine, blocks) {
  const tags = lines.flatMap((line, i) =>
    /^@\w+/.test(line) ? [{ line, at: firstLine + i }] : [],
  );
  tags.forEach(({ line, at }, i) => {
    const end = tags[i + 1]?.at ?? Number.POSITIVE_INFINITY;
    if (!line.startsWith('@example')) return;
    if (!blocks.some((block) => block.line > at && block.line < end)) {
      problem(file, at, '@example without a ts block');
    }
  });
}

/** One block as a test: its imports, the names it mentions, its body with assertions. */
function exampleOf(file, { line, code }) {
  const tree = parse(code);
  for (const { start, messageText } of tree.parseDiagnostics) {
    const at = line + 1 + tree.getLineAndCharacterOfPosition(start).line;
    problem(file, at, ts.flattenDiagnosticMessageText(messageText, ' '));
  }
  const imports = new Map();
  const names = new Set();
  const edits = [];
  const asserted = new Set();
  visit(tree);

  code.split('\n').forEach((text, i) => {
    if (MARKER.test(text) && !asserted.has(i)) {
      problem(file, line + 1 + i, `this marker is no assertion: ${text.trim()}`);
    }
  });
  return { line, imports, names, body: edit(code, edits).trim() };

  function visit(node) {
    if (ts.isImportDeclaration(node)) {
      for (const binding of bindingsOf(node)) imports.set(binding.local, binding);
      edits.push({ start: node.getStart(tree), end: node.end, text: '' });
      return;
    }
    if (ts.isIdentifier(node)) names.add(node.text);
    if (ts.isExpressionStatement(node)) assertion(node);
    else ts.forEachChild(node, visit);
  }

  function assertion(node) {
    const comment = markerAfter(code, node.end);
    ts.forEachChild(node, visit);
    if (comment === undefined) return;
    const value = expectedValue(code.slice(comment.pos, comment.end).replace(MARKER, ''));
    const actual = printed(node.expression);
    if (value === undefined || actual === undefined) return;
    asserted.add(tree.getLineAndCharacterOfPosition(comment.pos).line);
    // Two edits around the expression, so that assertions inside it keep theirs.
    edits.push({
      start: node.getStart(tree),
      end: actual.getStart(tree),
      text: 'vitest.expect(',
    });
    edits.push({ start: actual.end, end: comment.end, text: `).toEqual(${value});` });
  }
}

/** The marker behind a statement: on its last line, or alone on the next. */
function markerAfter(code, end) {
  const comments = [
    ...(ts.getTrailingCommentRanges(code, end) ?? []),
    ...(ts.getLeadingCommentRanges(code, end) ?? []),
  ];
  const nextLine = /^[^\n]*\n[^\n]*/.exec(code.slice(end))?.[0].length ?? Number.POSITIVE_INFINITY;
  return comments.find(
    ({ pos, end: stop }) => stop <= end + nextLine && MARKER.test(code.slice(pos, stop)),
  );
}

/** What a statement shows: the one argument of `console.log`, else the expression itself. */
function printed(expression) {
  if (!ts.isCallExpression(expression)) return expression;
  if (expression.expression.getText() !== 'console.log') return expression;
  return expression.arguments.length === 1 ? expression.arguments[0] : undefined;
}

/** The text of the expected value, or undefined when it is not exactly one expression. */
function expectedValue(text) {
  const tree = parse(`(${text}\n);`);
  const statement = tree.statements[0];
  if (tree.parseDiagnostics.length > 0 || tree.statements.length !== 1) return undefined;
  if (!ts.isExpressionStatement(statement)) return undefined;
  if (!ts.isParenthesizedExpression(statement.expression)) return undefined;
  const value = statement.expression.expression;
  const isList =
    ts.isBinaryExpression(value) && value.operatorToken.kind === ts.SyntaxKind.CommaToken;
  return isList ? undefined : value.getText(tree);
}

function parse(code) {
  return ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
}

/** What one import brings: `{ local, module, kind, code }`. */
function bindingsOf({ importClause: clause, moduleSpecifier }) {
  const module = moduleSpecifier.text;
  if (clause === undefined)
    return [{ local: `import ${module}`, module, kind: 'effect', code: '' }];
  const typeOnly = clause.isTypeOnly ? 'type ' : '';
  const found = [];
  const add = (local, kind, code) => found.push({ local, module, kind, code });
  if (clause.name) add(clause.name.text, 'named', `${typeOnly}default as ${clause.name.text}`);
  const bindings = clause.namedBindings;
  if (bindings && ts.isNamespaceImport(bindings)) {
    add(bindings.name.text, 'namespace', `${typeOnly}* as ${bindings.name.text}`);
  }
  if (bindings && ts.isNamedImports(bindings)) {
    for (const item of bindings.elements) add(item.name.text, 'named', typeOnly + item.getText());
  }
  return found;
}

function edit(code, edits) {
  let text = code;
  for (const { start, end, text: inserted } of edits.sort((a, b) => b.start - a.start)) {
    text = text.slice(0, start) + inserted + text.slice(end);
  }
  return text;
}

/** Examples share a file as long as none of them can see an import that it did not write itself. */
function groupsOf(examples) {
  const groups = [];
  for (const example of examples) {
    const group = groups.find((others) => others.every((other) => compatible(example, other)));
    if (group === undefined) groups.push([example]);
    else group.push(example);
  }
  return groups;
}

function compatible(a, b) {
  const hidden = (from, to) =>
    [...from.imports.values()].every(({ local, module, code }) => {
      const same = to.imports.get(local);
      return same ? same.module === module && same.code === code : !to.names.has(local);
    });
  return hidden(a, b) && hidden(b, a);
}

function testFile(file, examples) {
  const all = new Map(examples.flatMap(({ imports }) => [...imports]));
  const modules = new Map();
  const lines = ["import * as vitest from 'vitest';"];
  for (const { module, kind, code } of all.values()) {
    if (kind === 'effect') lines.push(`import '${module}';`);
    if (kind === 'namespace') lines.push(`import ${code} from '${module}';`);
    if (kind === 'named') modules.set(module, [...(modules.get(module) ?? []), code]);
  }
  for (const [module, codes] of modules) {
    lines.push(`import { ${codes.join(', ')} } from '${module}';`);
  }
  const tests = examples.map(
    ({ line, body }) =>
      `vitest.test(${JSON.stringify(`the example at ${file}:${line}`)}, async () => {\n${body}\n});`,
  );
  return `${lines.join('\n')}\n\n${tests.join('\n\n')}\n`;
}

/** Writes only what changed and removes what is gone: a test run beside us keeps its files. */
function write() {
  mkdirSync(OUT, { recursive: true });
  for (const name of readdirSync(OUT)) {
    if (!outputs.has(join(OUT, name))) rmSync(join(OUT, name), { recursive: true });
  }
  for (const [path, text] of outputs) {
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
  }
}
