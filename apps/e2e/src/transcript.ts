import { readFileSync } from "node:fs";
import { sharedAsset } from "@servable/testing";

/** One line of a recorded conversation of a stock client. */
export interface TranscriptLine {
  readonly t: "grpc" | "http";
  readonly dir: "req" | "res";
  /** gRPC: full method path. */
  readonly m?: string;
  readonly method?: string;
  readonly url?: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly b64: string;
}

/** A request with its recorded answer; none = the call was refused. */
export interface Exchange {
  readonly request: TranscriptLine;
  readonly response: TranscriptLine | undefined;
}

/** The lines of a recorded conversation, in their order. */
export function readLines(name: string): TranscriptLine[] {
  const path = sharedAsset(`fixtures/oip-transcripts/${name}.jsonl`);
  if (path === undefined) throw new Error(`${name} is not on this machine`);
  return readFileSync(path, "utf8").trim().split("\n").map((line) => JSON.parse(line) as TranscriptLine);
}

/** The exchanges of a recorded conversation of calls with one answer each, in their order. */
export function readTranscript(name: string): Exchange[] {
  const lines = readLines(name);
  return lines.flatMap((request, index) => {
    if (request.dir !== "req") return [];
    const next = lines[index + 1];
    return [{ request, response: next?.dir === "res" ? next : undefined }];
  });
}

/** Bytes of a line's body. */
export function bytesOf({ b64 }: TranscriptLine): Uint8Array {
  return Buffer.from(b64, "base64");
}
