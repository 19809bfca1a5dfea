import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelStreamInferResponseSchema, RepositoryModelLoadRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { isStreamError, peekInfer, peekModel, peekRepositoryModel } from "./model-reference.ts";

const encode = (init: MessageInitShape<typeof ModelInferRequestSchema>) => toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init));

describe("model reference", () => {
  it("reads name, version and id before and behind tensors", () => {
    const tensors = encode({ rawInputContents: [new Uint8Array(1000)], inputs: [{ name: "x", datatype: "FP32", shape: [-1n, 5n] }] });
    const head = encode({ modelName: "mödel", modelVersion: "3", id: "i" });
    const want = { model: "mödel", version: "3", id: "i", sequence: undefined };

    assert.deepEqual(peekInfer(Buffer.concat([head, tensors])), want);
    assert.deepEqual(peekInfer(Buffer.concat([tensors, head])), want);
    assert.deepEqual(peekModel(new Uint8Array()), { model: "", version: "" });
  });

  const sequences = [
    { choice: { case: "int64Param", value: 1000n }, want: "1000" },
    { choice: { case: "int64Param", value: 0n }, want: undefined },
    { choice: { case: "stringParam", value: "a-b" }, want: "a-b" },
    { choice: { case: "stringParam", value: "" }, want: undefined },
  ] as const;
  for (const { choice, want } of sequences) {
    it(`takes sequence_id ${String(choice.value) || '""'} for ${want ?? "no sequence"}`, () => {
      const bytes = encode({ parameters: { sequence_start: { parameterChoice: { case: "boolParam", value: true } }, sequence_id: { parameterChoice: choice } } });

      assert.equal(peekInfer(bytes).sequence, want);
    });
  }

  it("finds the model to load in Triton's and in KServe's field", () => {
    const bytes = (init: MessageInitShape<typeof RepositoryModelLoadRequestSchema>) => toBinary(RepositoryModelLoadRequestSchema, create(RepositoryModelLoadRequestSchema, init));

    assert.equal(peekRepositoryModel(bytes({ repositoryName: "r", modelName: "m" })), "m");
    assert.equal(peekRepositoryModel(bytes({ repositoryName: "m" })), "m");
  });

  it("tells an error in a stream from an answer", () => {
    const bytes = (init: MessageInitShape<typeof ModelStreamInferResponseSchema>) => toBinary(ModelStreamInferResponseSchema, create(ModelStreamInferResponseSchema, init));

    assert.equal(isStreamError(bytes({ errorMessage: "no", inferResponse: { id: "1" } })), true);
    assert.equal(isStreamError(bytes({ inferResponse: { id: "1" } })), false);
  });

  for (const bytes of [[0x0a], [0x0a, 0xff], [0xff, 0xff], [0x0a, 0x80]]) {
    it(`refuses the bytes ${bytes.map((byte) => byte.toString(16)).join(" ")}`, () => {
      assert.throws(() => peekInfer(Uint8Array.from(bytes)), (error: unknown) => error instanceof StatusError && error.reason === "MESSAGE_MALFORMED");
    });
  }
});
