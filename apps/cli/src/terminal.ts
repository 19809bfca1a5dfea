/** Where a command writes and what it reads its settings from; tests hand in their own. */
export interface Terminal {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A stream that can be written to; `isTTY` decides between a moving bar and plain lines. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Writes a line of text. */
export function printLine(terminal: Terminal, line = ""): void {
  terminal.stdout.write(line + "\n");
}

/** Writes a value as JSON for scripts; 64-bit integers become numbers or, where they do not fit, texts. */
export function printJson(terminal: Terminal, value: unknown): void {
  const plain = (_key: string, item: unknown): unknown => (typeof item === "bigint" ? (Number.isSafeInteger(Number(item)) ? Number(item) : item.toString()) : item);
  terminal.stdout.write(JSON.stringify(value, plain, 2) + "\n");
}
