/** Rows under headings, columns as wide as their longest cell; numbers stand right. */
export function renderTable(headings: readonly string[], rows: readonly (readonly (string | number | bigint | undefined)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => String(cell ?? "")));
  const widths = headings.map((heading, column) => Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)));
  const right = headings.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number" || typeof row[column] === "bigint"));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (right[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(headings), widths.map((width) => "─".repeat(width)).join("  "), ...cells.map(line)].join("\n");
}

/** Bytes for people: 1.4 MiB. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024 || unit === "GiB") return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${bytes} B`;
}

/** A time to the second, UTC. */
export function formatTime(seconds: bigint | undefined): string {
  return seconds === undefined ? "" : new Date(Number(seconds) * 1_000).toISOString().replace("T", " ").slice(0, 19);
}
