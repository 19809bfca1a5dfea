// Conversations of the stock Triton client, recorded on the wire, replayed against the gateway.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { sharedAsset, skipWithout } from "@servable/testing";
import { startTestGateway, type TestGateway } from "./gateway.ts";

const FOLDER = "fixtures/oip-transcripts";
const CONVERSATIONS = ["simple_http_infer_client", "simple_http_string_infer_client", "simple_http_health_metadata"];

interface Line {
  readonly dir: "req" | "res";
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly b64: string;
}

describe("recorded HTTP conversations", { skip: skipWithout(FOLDER) }, () => {
  let gateway: TestGateway;
  before(async () => (gateway = await startTestGateway({ auth: "none" })));
  after(() => gateway[Symbol.asyncDispose]());

  for (const name of CONVERSATIONS) {
    it(`replays ${name}`, async () => {
      const lines = readFileSync(sharedAsset(`${FOLDER}/${name}.jsonl`) ?? "", "utf8").trim().split("\n").map((line) => JSON.parse(line) as Line);
      for (let index = 0; index < lines.length; index += 2) {
        const [sent, recorded] = [lines[index], lines[index + 1]];
        assert.ok(sent?.dir === "req" && recorded?.dir === "res");

        const got = await play(gateway, sent);

        const where = `${sent.method} ${sent.url} (line ${index + 1})`;
        assert.equal(got.status, recorded.status, where);
        compare(got, Buffer.from(recorded.b64, "base64"), where);
      }
    });
  }
});

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

function play(gateway: TestGateway, { method, url, headers, b64 }: Line): Promise<Answer> {
  const body = Buffer.from(b64, "base64");
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const call = httpRequest(`http://${gateway.server.httpAddress}${url}`, { method, headers: { ...headers, ...(body.length > 0 && { "content-length": body.length }) } }, (response) => {
    void response.toArray().then((chunks: Buffer[]) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }), reject);
  });
  call.on("error", reject).end(body);
  return promise;
}

function compare(got: Answer, recorded: Buffer, where: string): void {
  // Health endpoints may answer an empty body or what KServe answers.
  if (recorded.length === 0) return;
  const jsonLength = lengthOfJson(recorded);
  const stated = got.headers["inference-header-content-length"];
  if (jsonLength < recorded.length) assert.equal(got.headers["content-type"], "application/octet-stream", where);
  const gotLength = stated === undefined ? got.body.length : Number(stated);
  assert.deepEqual(comparable(got.body.subarray(0, gotLength)), comparable(recorded.subarray(0, jsonLength)), where);
  assert.deepEqual(got.body.subarray(gotLength), recorded.subarray(jsonLength), where);
}

/** Where the outermost brace closes; strings in these answers hold no braces. */
function lengthOfJson(bytes: Buffer): number {
  let depth = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    if (bytes[index] === 0x7b) depth += 1;
    if (bytes[index] === 0x7d && --depth === 0) return index + 1;
  }
  return bytes.length;
}

/** Version, extensions and counters are the server's own. */
function comparable(json: Buffer): unknown {
  const ignored = new Set(["version", "extensions", "last_inference", "ns", "count", "inference_count", "execution_count", "batch_stats", "memory_usage", "response_stats"]);
  return JSON.parse(json.toString(), (key, value: unknown) => (ignored.has(key) ? undefined : value));
}
