/** Hexadecimal with `0x`. */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** Indented JSON; plain data of the library turns its bigints into strings by itself. */
export function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Rows as columns, each as wide as its widest cell, two spaces apart; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, at) => Math.max(cell.length, widest[at] ?? 0)),
    [],
  );
  return rows
    .map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at]!)).join('  ')}`.trimEnd())
    .join('\n');
}
