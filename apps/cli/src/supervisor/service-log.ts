import { createWriteStream, mkdirSync, renameSync, rmSync, statSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** A log is begun anew above this, at the start of a platform; one older one is kept. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;
const TROUBLE = /^([\w-]+: |\w*Error\b)/;
const LEVELS_SHOWN = new Set(["error", "fatal"]);

/** Takes a service's output: everything goes to a file, what people must see is shown. */
export interface ServiceLog {
  /** Reads a stream of the process to its end. */
  read(stream: Readable): void;
  /** The last line that says why a start failed: "name: message (REASON)" of ours, or "Error: …" of Node's. */
  readonly trouble: string | undefined;
  /** Forgets `trouble` before the next start. */
  restart(): void;
  close(): Promise<void>;
}

/** A log at `path`; `show` gets errors and whatever is no log record, or all lines when `verbose`. */
export function openServiceLog(path: string, show: (line: string) => void, verbose: boolean): ServiceLog {
  const file = openBounded(path);
  let trouble: string | undefined;
  return {
    read: (stream) => {
      createInterface({ input: stream }).on("line", (line) => {
        file.write(line + "\n");
        const level = levelOf(line);
        if (level === undefined && TROUBLE.test(line)) trouble = line;
        if (verbose || (level !== undefined && LEVELS_SHOWN.has(level))) show(line);
      });
    },
    get trouble() {
      return trouble;
    },
    restart: () => {
      trouble = undefined;
    },
    close: () => new Promise((resolve) => file.end(() => resolve())),
  };
}

function openBounded(path: string): WriteStream {
  mkdirSync(dirname(path), { recursive: true });
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_BYTES_MAX) {
    rmSync(`${path}.1`, { force: true });
    renameSync(path, `${path}.1`);
  }
  return createWriteStream(path, { flags: "a", mode: 0o600 });
}

/** The level of a log record, or undefined for any other line. */
function levelOf(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const { level } = JSON.parse(line) as { level?: unknown };
    return typeof level === "string" ? level : undefined;
  } catch {
    return undefined;
  }
}
