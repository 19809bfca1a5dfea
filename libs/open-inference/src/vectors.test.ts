// proto/testdata holds messages and what they say, for implementations in any language. These are ours.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { elementsOf, tensorOf, type Datatype } from "@servable/tensor";
import { decodeInferRequest } from "./decode-infer-request.ts";
import type { InferParameter, InferParameters } from "./infer-messages.ts";

const FOLDER = join(import.meta.dirname, "../../../proto/testdata/open-inference");
const read = (name: string): unknown => JSON.parse(readFileSync(join(FOLDER, name), "utf8"));
const { requests } = read("infer-requests.json") as { requests: { name: string; message_b64: string; want?: unknown; refused?: string }[] };
const { tensors } = read("tensors.json") as { tensors: { datatype: Datatype; shape: number[]; values: (string | number | boolean)[]; raw_hex: string }[] };

describe("test vectors of the Open Inference Protocol", () => {
  for (const { name, message_b64: message, want, refused } of requests) {
    it(`${want === undefined ? "refuse" : "read"} ${name}`, () => {
      const bytes = Buffer.from(message, "base64");
      if (refused !== undefined) return assert.throws(() => decodeInferRequest(bytes), (error: unknown) => error instanceof StatusError && error.code === refused);
      const { modelName, modelVersion, id, parameters, inputs, outputs, rawInputContents } = decodeInferRequest(bytes);
      assert.deepEqual(
        {
          model_name: modelName,
          model_version: modelVersion,
          id,
          parameters: parametersOf(parameters),
          inputs: inputs.map((input) => ({ name: input.name, datatype: input.datatype, shape: input.shape, parameters: parametersOf(input.parameters) })),
          outputs: outputs.map((output) => ({ name: output.name, parameters: parametersOf(output.parameters) })),
          raw_input_contents_hex: rawInputContents.map((raw) => Buffer.from(raw).toString("hex")),
        },
        want,
      );
    });
  }

  for (const { datatype, shape, values, raw_hex: hex } of tensors) {
    it(`carry ${datatype} both ways`, () => {
      const given = values.map((value) => (/^U?INT64$/.test(datatype) ? BigInt(value) : value));

      assert.equal(Buffer.from(tensorOf(datatype, shape, given).data).toString("hex"), hex);
      const elements = elementsOf({ datatype, shape, data: Buffer.from(hex, "hex") });
      assert.deepEqual(elements.map((element) => (element instanceof Uint8Array ? Buffer.from(element).toString() : element)), given);
    });
  }
});

function parametersOf(parameters: InferParameters): Record<string, unknown> {
  return Object.fromEntries([...parameters].map(([key, { kind, value }]: [string, InferParameter]) => [key, { [`${kind}_param`]: typeof value === "bigint" ? String(value) : value }]));
}
