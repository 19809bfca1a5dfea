// The load generator's child for machines without h2load. It speaks HTTP/2 without any gRPC library, so that all servers
// are measured with the same client.

import { readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { at, type Load, type LoadResult } from "./load-generator.ts";

const WINDOW_BYTES = 8 * 1024 * 1024;

const load = JSON.parse(process.argv[2] ?? "") as Omit<Load, "body"> & { readonly body: string };
const body = readFileSync(load.body);
const { address, concurrency, seconds, answerBytes } = load;
const durationsMs: number[] = [];
let failed = 0;

const send = load.protocol === "http/1.1" ? overHttp1() : await overHttp2();
const end = performance.now() + seconds * 1_000;
await Promise.all(
  Array.from({ length: concurrency }, async () => {
    while (performance.now() < end) {
      const started = performance.now();
      const bytes = await send();
      durationsMs.push(performance.now() - started);
      if (bytes === undefined || (answerBytes !== undefined && bytes !== answerBytes)) failed += 1;
    }
  }),
);
durationsMs.sort((a, b) => a - b);
const result: LoadResult = { count: durationsMs.length, failed, perSecond: durationsMs.length / seconds, p50Ms: at(durationsMs, 0.5), p99Ms: at(durationsMs, 0.99) };
process.stdout.write(JSON.stringify(result), () => process.exit());

/** Answers how many bytes came back, or undefined for a failed request. */
async function overHttp2(): Promise<() => Promise<number | undefined>> {
  const path = address.startsWith("unix:") ? address.slice("unix:".length) : undefined;
  const session = connect(path === undefined ? `http://${address}` : "http://localhost", {
    settings: { initialWindowSize: WINDOW_BYTES },
    ...(path === undefined ? {} : { createConnection: () => connectSocket(path) }),
  });
  await new Promise((resolve) => session.once("connect", resolve));
  session.setLocalWindowSize(WINDOW_BYTES);
  return () =>
    new Promise((resolve) => {
      const stream = session.request({ ":method": "POST", ":path": load.path, ...load.headers });
      let [bytes, ok] = [0, false];
      const isRight = (headers: Record<string, unknown>): boolean => headers["grpc-status"] === undefined || headers["grpc-status"] === "0";
      stream.on("response", (headers) => (ok = headers[":status"] === 200 && isRight(headers)));
      stream.on("trailers", (trailers) => (ok &&= isRight(trailers)));
      stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
      stream.on("error", () => (ok = false));
      stream.on("close", () => resolve(ok ? bytes : undefined));
      stream.end(body);
    });
}

function overHttp1(): () => Promise<number | undefined> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const [host, port] = address.split(":");
  return () =>
    new Promise((resolve) => {
      const call = httpRequest({ host, port, path: load.path, method: "POST", agent, headers: { ...load.headers, "content-length": body.length } }, (answer) => {
        let bytes = 0;
        answer.on("data", (chunk: Buffer) => (bytes += chunk.length));
        answer.on("end", () => resolve(answer.statusCode === 200 ? bytes : undefined));
      });
      call.on("error", () => resolve(undefined));
      call.end(body);
    });
}
