import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelInferResponseSchema, ModelStreamInferResponseSchema, type InferParameter as EsParameter } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import fc from "fast-check";
import { decodeInferRequest, encodeInferResponse, encodeStreamInferResponse, type InferParameter, type WireInferResponse, type WireOutput } from "./index.ts";

const text = fc.string({ unit: "grapheme", maxLength: 20 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const parameter = fc.oneof(
  fc.boolean().map((value) => ({ case: "boolParam" as const, value })),
  int64.map((value) => ({ case: "int64Param" as const, value })),
  text.map((value) => ({ case: "stringParam" as const, value })),
  fc.double({ noNaN: true }).map((value) => ({ case: "doubleParam" as const, value })),
  uint64.map((value) => ({ case: "uint64Param" as const, value })),
);
const parameters = fc.dictionary(text, parameter.map((parameterChoice) => ({ parameterChoice })), { maxKeys: 3 });
const contents = fc.record(
  {
    boolContents: fc.array(fc.boolean()),
    intContents: fc.array(fc.integer()),
    int64Contents: fc.array(int64),
    uintContents: fc.array(fc.nat()),
    uint64Contents: fc.array(uint64),
    fp32Contents: fc.array(fc.float({ noNaN: true })),
    fp64Contents: fc.array(fc.double({ noNaN: true })),
    bytesContents: fc.array(fc.uint8Array({ maxLength: 10 })),
  },
  { requiredKeys: [] },
);
const request = fc.record({
  modelName: text,
  modelVersion: text,
  id: text,
  parameters,
  inputs: fc.array(fc.record({ name: text, datatype: text, shape: fc.array(fc.bigInt({ min: -1n, max: 2n ** 53n - 1n }), { maxLength: 5 }), parameters, contents: fc.option(contents, { nil: undefined }) }), { maxLength: 3 }),
  outputs: fc.array(fc.record({ name: text, parameters }), { maxLength: 3 }),
  rawInputContents: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 }),
});

const KINDS = { boolParam: "bool", int64Param: "int64", stringParam: "string", doubleParam: "double", uint64Param: "uint64" } as const;
const plain = (map: ReadonlyMap<string, InferParameter>): Record<string, unknown> => Object.fromEntries([...map].map(([key, { kind, value }]) => [key, [kind, value]]));
const plainEs = (map: Readonly<Record<string, EsParameter>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(map).map(([key, { parameterChoice: choice }]) => [key, choice.case === undefined ? [] : [KINDS[choice.case], choice.value]]));

describe("the request decoder", () => {
  it("reads what another implementation writes", () => {
    fc.assert(
      fc.property(request, (init) => {
        const message = create(ModelInferRequestSchema, init);

        const got = decodeInferRequest(toBinary(ModelInferRequestSchema, message));

        assert.deepEqual([got.modelName, got.modelVersion, got.id], [message.modelName, message.modelVersion, message.id]);
        assert.deepEqual(plain(got.parameters), plainEs(message.parameters));
        assert.deepEqual(got.rawInputContents.map((each) => Buffer.from(each)), message.rawInputContents.map((each) => Buffer.from(each)));
        assert.deepEqual(got.outputs.map(({ name, parameters: own }) => [name, plain(own)]), message.outputs.map(({ name, parameters: own }) => [name, plainEs(own)]));
        assert.equal(got.inputs.length, message.inputs.length);
        for (const [index, want] of message.inputs.entries()) {
          const input = got.inputs[index];
          assert.deepEqual([input?.name, input?.datatype, input?.shape], [want.name, want.datatype, want.shape.map(Number)]);
          assert.deepEqual(plain(input?.parameters ?? new Map<string, InferParameter>()), plainEs(want.parameters));
          assert.equal(input?.contents === undefined, want.contents === undefined);
          for (const field of ["bool", "int", "int64", "uint", "uint64", "fp32", "fp64"] as const) {
            assert.deepEqual(input?.contents?.find((each) => each.field === field)?.values ?? [], want.contents?.[`${field}Contents`] ?? []);
          }
          assert.deepEqual((input?.contents?.find((each) => each.field === "bytes")?.values ?? []).map((each) => Buffer.from(each as Uint8Array)), (want.contents?.bytesContents ?? []).map((each) => Buffer.from(each)));
        }
      }),
    );
  });

  it("answers MESSAGE_MALFORMED, or views within the message, for any bytes", () => {
    fc.assert(
      fc.property(request, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }), fc.nat(), (init, changes, cut) => {
        const bytes = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init));
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        const damaged = cut % 3 === 0 ? bytes.subarray(0, cut % (bytes.length + 1)) : bytes;
        let got: ReturnType<typeof decodeInferRequest>;
        try {
          got = decodeInferRequest(damaged);
        } catch (error) {
          assert.ok(error instanceof StatusError && error.reason === "MESSAGE_MALFORMED", String(error));
          return;
        }
        // Other decoders differ on fields of the wrong wire type (C++ skips them, as we do), so none is the judge here.
        const views = [...got.rawInputContents, ...got.inputs.flatMap(({ contents }) => contents?.flatMap(({ values }) => values.filter((value) => value instanceof Uint8Array)) ?? [])];
        assert.ok(views.every(({ buffer }) => buffer === damaged.buffer));
        assert.ok(views.reduce((sum, { length }) => sum + length, 0) <= damaged.length);
      }),
      { numRuns: 500 },
    );
  });

  it("refuses a length that goes beyond the message, however deep it stands", () => {
    const hostile = [[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], [0x2a, 0x04, 0x0a, 0xff, 0xff, 0x03], [0x3a, 0x80], [0x00], [0x0c], [0x2a, 0x02, 0x1a, 0x7f]];
    for (const bytes of hostile) assert.throws(() => decodeInferRequest(Uint8Array.from(bytes)), (error) => error instanceof StatusError && error.reason === "MESSAGE_MALFORMED");
  });
});

describe("the response encoder", () => {
  const wireParameters = fc.dictionary(text, fc.oneof(
    fc.boolean().map((value): InferParameter => ({ kind: "bool", value })),
    int64.map((value): InferParameter => ({ kind: "int64", value })),
    text.map((value): InferParameter => ({ kind: "string", value })),
    fc.double({ noNaN: true }).map((value): InferParameter => ({ kind: "double", value })),
    uint64.map((value): InferParameter => ({ kind: "uint64", value })),
  ), { maxKeys: 3 }).map((record) => new Map(Object.entries(record)));
  const output: fc.Arbitrary<WireOutput> = fc.record({ name: text, datatype: fc.constantFrom("FP32" as const, "BYTES" as const), shape: fc.array(fc.nat(2 ** 40), { maxLength: 4 }), parameters: wireParameters, data: fc.option(fc.uint8Array({ maxLength: 400 }), { nil: undefined }) });
  const response: fc.Arbitrary<WireInferResponse> = fc.record({ modelName: text, modelVersion: text, id: text, parameters: wireParameters, outputs: fc.array(output, { maxLength: 4 }) });

  it("writes what another implementation reads, an entry of raw contents for every output", () => {
    fc.assert(
      fc.property(response, (want) => {
        const got = fromBinary(ModelInferResponseSchema, encodeInferResponse(want));

        assert.deepEqual([got.modelName, got.modelVersion, got.id], [want.modelName, want.modelVersion, want.id]);
        assert.deepEqual(plainEs(got.parameters), plain(want.parameters ?? new Map<string, InferParameter>()));
        assert.deepEqual(got.outputs.map(({ name, datatype, shape }) => [name, datatype, shape.map(Number)]), want.outputs.map(({ name, datatype, shape }) => [name, datatype, shape]));
        assert.deepEqual(got.outputs.map((each) => plainEs(each.parameters)), want.outputs.map((each) => plain(each.parameters ?? new Map<string, InferParameter>())));
        assert.deepEqual(got.rawOutputContents.map((each) => Buffer.from(each)), want.outputs.map(({ data }) => Buffer.from(data ?? [])));
        assert.deepEqual(fromBinary(ModelStreamInferResponseSchema, encodeStreamInferResponse(want)).inferResponse, got);
      }),
    );
  });
});
