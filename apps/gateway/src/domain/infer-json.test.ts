import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StatusError, httpStatusOf } from "@servable/errors";
import { parseInferRequest } from "./infer-json.ts";

interface Vector {
  readonly name: string;
  readonly json: string;
  readonly tail_hex?: string;
  readonly want?: unknown;
  readonly status?: number;
  readonly text?: string;
}

const path = join(import.meta.dirname, "../../../../proto/testdata/open-inference/rest-requests.json");
const { requests } = JSON.parse(readFileSync(path, "utf8")) as { requests: Vector[] };

describe("REST requests of the test vectors", () => {
  for (const { name, json, tail_hex: tail = "", want, status, text = "" } of requests) {
    it(`${want === undefined ? "refuse" : "read"} ${name}`, () => {
      const head = Buffer.from(json);
      const parse = () => parseInferRequest(Buffer.concat([head, Buffer.from(tail, "hex")]), tail === "" ? undefined : head.length, { model: "m", version: "" });
      if (want === undefined) {
        assert.throws(parse, (error: unknown) => error instanceof StatusError && httpStatusOf(error) === status && error.message.includes(text));
        return;
      }
      const { request } = parse();
      const inputs = request.inputs.map((input, index) => ({ name: input.name, datatype: input.datatype, shape: input.shape.map(Number), raw_hex: Buffer.from(request.rawInputContents[index] ?? []).toString("hex") }));
      assert.deepEqual({ id: request.id, inputs, outputs: request.outputs.map((output) => output.name) }, want);
    });
  }
});
