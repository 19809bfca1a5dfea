// A neutral load generator: nghttp2's h2load where it is installed, else our own on raw node:http2 in a child process. Both
// repeat one prepared request over one connection with so many streams at once, and look at the bytes that come back: a
// peer that answers errors quickly must not look fast.

import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** One request, repeated. */
export interface Load {
  /** "host:port" or "unix:/path". */
  readonly address: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** As it goes over the wire: gRPC messages with their prefix. */
  readonly body: Uint8Array;
  /** Bytes of every right answer's body; others are counted as failed. Absent = any answer with status 200. */
  readonly answerBytes?: number;
  readonly protocol?: "h2" | "http/1.1";
  readonly concurrency: number;
  readonly seconds: number;
}

/** What a load came to. */
export interface LoadResult {
  readonly count: number;
  readonly failed: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Which generator this machine has. */
export const GENERATOR = spawnSync("h2load", ["--version"], { stdio: "ignore" }).status === 0 ? "h2load" : "raw node:http2";

/** Runs a load to its end. */
export async function generateLoad(load: Load): Promise<LoadResult> {
  const directory = mkdtempSync(join(tmpdir(), "load-"));
  try {
    const bodyFile = join(directory, "body");
    writeFileSync(bodyFile, load.body);
    return GENERATOR === "h2load" ? await withH2load(load, bodyFile, join(directory, "log")) : await withNode(load, bodyFile);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function withH2load({ address, path, headers, answerBytes, protocol = "h2", concurrency, seconds }: Load, bodyFile: string, logFile: string): Promise<LoadResult> {
  const unix = address.startsWith("unix:");
  const connections = protocol === "h2" ? ["-c", "1", "-m", String(concurrency)] : ["--h1", "-c", String(concurrency), "-m", "1"];
  const { stdout } = await run(
    "h2load",
    [
      ...connections,
      ...["-D", String(seconds), "-d", bodyFile, `--log-file=${logFile}`],
      ...Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
      ...(unix ? ["-B", address, `http://localhost${path}`] : [`http://${address}${path}`]),
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const number = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? Number.NaN);
  const done = number(/(\d+) succeeded/);
  const dataBytes = number(/headers \(space savings [^)]*\), [^(]*\((\d+)\) data/);
  // h2load knows HTTP alone: an error of gRPC has no data, so the bytes tell how many answers were right.
  const right = answerBytes === undefined ? done : Math.min(done, Math.round(dataBytes / answerBytes));
  const lines = readFileSync(logFile, "utf8").trim().split("\n");
  const durationsMs = lines.map((line) => Number(line.split("\t")[2]) / 1_000).sort((a, b) => a - b);
  return { count: done, failed: number(/(\d+) failed/) + done - right, perSecond: done / seconds, p50Ms: at(durationsMs, 0.5), p99Ms: at(durationsMs, 0.99) };
}

async function withNode(load: Load, bodyFile: string): Promise<LoadResult> {
  const { stdout } = await run(process.execPath, [join(import.meta.dirname, "node-load.ts"), JSON.stringify({ ...load, body: bodyFile })], { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as LoadResult;
}

/** The value below which `share` of all sorted ones lie. */
export function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
