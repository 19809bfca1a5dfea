import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, equals, ScalarType, toBinary, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { DataType, ModelConfigSchema, ModelInstanceGroup_Kind, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import fc from "fast-check";
import { parseTextProto } from "./parse-text-proto.ts";
import { printTextProto } from "./print-text-proto.ts";

const parse = (text: string): ModelConfig => parseTextProto(ModelConfigSchema, text, { source: "config.pbtxt" });

describe("protobuf text format", () => {
  it("reads a config.pbtxt as people write it: comments, both brackets, lists, separators or none", () => {
    const config = parse(`
      # an image model
      name: "resnet"; platform: 'onnxruntime_onnx',
      max_batch_size: 0x10
      input [ { name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 3, 224, 224 ] } ]
      output < name: "y", data_type: 11; dims: -1; dims: [ ], label_filename: "labels" ".txt" >
      instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_GPU gpus: [ 0, 1 ] } ]
      dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100
        priority_queue_policy { key: 1 value { timeout_action: DELAY, allow_timeout_override: t } } }
      parameters { key: "a" value: { string_value: "b\\n\\x41\\101\\u00e9" } }
      parameters: [ { value { string_value: "no key" } key: "c" } , { key: "d" } ];
      version_policy: { all { }}
      cc_model_filenames [ { key: "9.0" value: "h100.onnx" } ]
    `);

    assert.deepEqual([config.name, config.platform, config.maxBatchSize], ["resnet", "onnxruntime_onnx", 16]);
    assert.deepEqual([config.input[0]?.dataType, config.input[0]?.dims], [DataType.TYPE_FP32, [3n, 224n, 224n]]);
    assert.deepEqual([config.output[0]?.dataType, config.output[0]?.dims, config.output[0]?.labelFilename], [DataType.TYPE_FP32, [-1n], "labels.txt"]);
    assert.deepEqual(config.instanceGroup.map(({ count, kind, gpus }) => [count, kind, gpus]), [[2, ModelInstanceGroup_Kind.CPU, []], [0, ModelInstanceGroup_Kind.GPU, [0, 1]]]);
    assert(config.schedulingChoice.case === "dynamicBatching");
    assert.deepEqual(config.schedulingChoice.value.preferredBatchSize, [4, 8]);
    assert.equal(config.schedulingChoice.value.priorityQueuePolicy["1"]?.allowTimeoutOverride, true);
    assert.deepEqual(Object.entries(config.parameters).map(([key, { stringValue }]) => [key, stringValue]), [["a", "b\nAAé"], ["c", "no key"], ["d", ""]]);
    assert.equal(config.versionPolicy?.policyChoice.case, "all");
    assert.deepEqual(config.ccModelFilenames, { "9.0": "h100.onnx" });
  });

  const numbers = [
    ["1", 1], ["-2.5", -2.5], ["1e3", 1000], ["1.5E-2f", Math.fround(0.015)], ["3f", 3], [".5", 0.5], ["- 4", -4], ["inf", Infinity], ["-Infinity", -Infinity], ["1e99", Infinity],
  ] as const;
  for (const [text, want] of numbers) {
    it(`reads ${text} as a float`, () => {
      const config = parse(`sequence_batching { direct { minimum_slot_utilization: ${text} } }`);

      assert(config.schedulingChoice.case === "sequenceBatching" && config.schedulingChoice.value.strategyChoice.case === "direct");
      assert.equal(config.schedulingChoice.value.strategyChoice.value.minimumSlotUtilization, want);
    });
  }

  const mistakes = [
    ['name: "m"\n  max_batch_sise: 8', "config.pbtxt:2:3: max_batch_sise: there is no such field in ModelConfig"],
    ["instance_groups { }", "did you mean instance_group?"],
    ["input { dims: 1.5 }", "config.pbtxt:1:15: input.dims: expected an int64, not 1.5"],
    ["max_batch_size: 2147483648", "1:17: max_batch_size: 2147483648 is outside of an int32"],
    ["max_batch_size: -08", '"08" cannot be read here'],
    ['max_batch_size: "8"', 'max_batch_size: expected an int32, not "8"'],
    ["name: unquoted", "name: expected a string in quotes, not unquoted"],
    ['name "m"', 'config.pbtxt:1:6: name: ":" is missing before "m"'],
    ['name: "m" name: "n"', "config.pbtxt:1:11: name: is given twice"],
    ["input { data_type: TYPE_FLOAT }", "input.data_type: expected one of TYPE_INVALID"],
    ["dynamic_batching { } ensemble_scheduling { }", "ensemble_scheduling: excludes dynamic_batching"],
    ["input [ { name: 'a' } ", 'input: expected "," or "]" in the list, not the end of the text'],
    ["input { name: 'a' ", 'input: "}" is missing at the end'],
    ["optimization { graph { level: 1 > }", 'optimization.graph: expected the name of a field, not ">"'],
    ["optimization: [ ]", "optimization: takes one value, not a list"],
    ['name: "a\\q"', 'there is no escape "\\q"'],
    ['name: "\\xff"', "name: the string is no UTF-8"],
    ['name: "open\nversion', "config.pbtxt:1:7: the string is not closed on its line"],
    ["parameters { key: 'a' key: 'b' }", "parameters.key: is given twice"],
    ["parameters { name: 'a' }", 'an entry has "key" and "value", not "name"'],
    ["[google.protobuf.Any] { }", "extensions and Any are not supported here"],
    ["max_batch_size: 12ab", 'config.pbtxt:1:17: "12ab" cannot be read here'],
    ["response_cache { enable: 2 }", "response_cache.enable: expected true or false, not 2"],
    ["max_batch_size:", "max_batch_size: expected an int32, not the end of the text"],
  ] as const;
  for (const [text, want] of mistakes) {
    it(`says what is wrong with ${JSON.stringify(text)}`, () => {
      assert.throws(() => parse(text), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && (error.message.includes(want) || assert.fail(error.message)));
    });
  }

  it("has a bound on nesting", () => {
    assert.throws(() => parseTextProto(FileDescriptorProtoSchema, "message_type { " + "nested_type { ".repeat(200)), /messages nest deeper than 100/);
  });

  it("reads back whatever it prints, of any message", () => {
    fc.assert(
      fc.property(messageOf(ModelConfigSchema, 3), (message) => {
        const text = printTextProto(ModelConfigSchema, message);

        return equals(ModelConfigSchema, parse(text), message) || assert.fail(text);
      }),
      { numRuns: 150 },
    );
    fc.assert(
      fc.property(messageOf(ModelInferRequestSchema, 3), (message) => Buffer.from(toBinary(ModelInferRequestSchema, parseTextProto(ModelInferRequestSchema, printTextProto(ModelInferRequestSchema, message)))).equals(Buffer.from(toBinary(ModelInferRequestSchema, message)))),
      { numRuns: 150 },
    );
  });

  it("refuses garbage with its own error, whatever the bytes", () => {
    const pieces = fc.constantFrom("name", "input", "dims", ":", "{", "}", "<", ">", "[", "]", ",", ";", '"a"', "'", '"', "\\", "-", "1", "0x", "1.5e", "#", "\n", "TYPE_FP32", "é", "\u0000");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        try {
          parse(parts.join(" "));
        } catch (error) {
          assert(error instanceof StatusError, String(error));
          assert.match(error.message, /^config\.pbtxt:\d+:\d+: /);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

/** Messages of a schema with any of their fields set. */
function messageOf<Desc extends DescMessage>(schema: Desc, depth: number): fc.Arbitrary<ReturnType<typeof create<Desc>>> {
  const fields = schema.fields.filter((field) => depth > 0 || field.message === undefined);
  return fc.subarray([...fields], { maxLength: Math.min(fields.length, 5) }).chain((chosen) =>
    fc.tuple(...chosen.map((field) => valueOf(field, depth).map((value) => ({ field, value })))).map((set) => {
      const message = reflect(schema);
      for (const { field, value } of set) {
        if (field.oneof !== undefined && message.oneofCase(field.oneof) !== undefined) continue;
        if (field.fieldKind === "list") for (const item of value as unknown[]) message.get(field).add(item);
        else if (field.fieldKind === "map") for (const [key, item] of value as [unknown, unknown][]) message.get(field).set(key, item);
        else message.set(field, value);
      }
      return message.message as ReturnType<typeof create<Desc>>;
    }),
  );
}

function valueOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const sub = (message: DescMessage): fc.Arbitrary<ReflectMessage> => messageOf(message, depth - 1).map((value) => reflect(message, value));
  const single = field.message !== undefined ? sub(field.message) : field.enum !== undefined ? fc.constantFrom(...field.enum.values.map(({ number }) => number)) : scalarOf(field.scalar ?? ScalarType.STRING);
  if (field.fieldKind === "list") return fc.array(single, { minLength: 1, maxLength: 3 });
  if (field.fieldKind === "map") return fc.array(fc.tuple(scalarOf(field.mapKey), single), { minLength: 1, maxLength: 3 });
  return single;
}

function scalarOf(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return fc.string({ unit: "binary" }).map((text) => text.toWellFormed());
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.double({ noNaN: true });
    case ScalarType.FLOAT:
      return fc.float({ noNaN: true });
    case ScalarType.INT32:
      return fc.integer();
    case ScalarType.UINT32:
      return fc.nat();
    case ScalarType.UINT64:
      return fc.bigInt(0n, 2n ** 64n - 1n);
    default:
      return fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n);
  }
}
