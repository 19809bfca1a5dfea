import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type StatusCode } from "@servable/errors";
import { readLoadOverrides, type LoadParameter } from "./load-overrides.ts";

const read = (parameters: Record<string, LoadParameter>) => readLoadOverrides("m", Object.entries(parameters));
const config: LoadParameter = { case: "stringParam", value: '{"max_batch_size":"16"}' };
const file = (text: string): LoadParameter => ({ case: "bytesParam", value: Buffer.from(text) });

describe("load overrides", () => {
  it("are a configuration and files by version; what lies beside the versions belongs to each", () => {
    const { configJson, versions } = read({ "file:2/model.onnx": file("b"), config, "file:1/model.onnx": file("a"), "file:1/data/weights": file("w"), "file:labels.txt": file("cat") });

    assert.equal(configJson, config.value);
    assert.deepEqual(
      versions.map(({ number, files }) => [number, Object.fromEntries([...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]))]),
      [
        [1, { "labels.txt": "cat", "model.onnx": "a", "data/weights": "w" }],
        [2, { "labels.txt": "cat", "model.onnx": "b" }],
      ],
    );
    assert.deepEqual(read({}), { configJson: undefined, versions: [] });
  });

  const refused: [string, Record<string, LoadParameter>, StatusCode, RegExp][] = [
    ["a configuration that is no JSON object", { config: { case: "stringParam", value: '"parameters": {"config": {{}}}' } }, "INVALID_ARGUMENT", /^failed to load 'm', the parameter config/],
    ["a configuration that is no text", { config: { case: "boolParam", value: true } }, "INVALID_ARGUMENT", /^failed to load/],
    ["a path part that no file system takes", { config, [`file:${"A".repeat(256)}`]: file("a") }, "INTERNAL", /failed to poll from model repository/],
    ["a path that leads out", { config, "file:1/../../x": file("a") }, "INVALID_ARGUMENT", /is no path of a file within the model/],
    ["a file that is a text", { config, "file:1/model.onnx": { case: "stringParam", value: "a" } }, "INVALID_ARGUMENT", /must be bytes_param/],
    ["files without a configuration", { "file:1/model.onnx": file("a") }, "INVALID_ARGUMENT", /without a model configuration/],
    ["files of no version", { config, "file:labels.txt": file("a") }, "INVALID_ARGUMENT", /none of a version/],
    ["parameters that nobody knows", { color: { case: "boolParam", value: true } }, "INVALID_ARGUMENT", /unrecognized parameter 'color'/],
  ];
  for (const [what, parameters, code, message] of refused) {
    it(`refuse ${what}`, () => assert.throws(() => read(parameters), (error: unknown) => error instanceof StatusError && error.code === code && message.test(error.message)));
  }
});
