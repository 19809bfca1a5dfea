import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ModelVersionSchema } from "@servable/contracts/registry/v1/model_version";
import { exampleCall } from "./example-call.ts";

const versionOf = (inputs: { name: string; datatype: string; shape: bigint[] }[]) => create(ModelVersionSchema, { signature: { inputs } });

describe("example call", () => {
  it("names the inputs of a table model, quoted for the shell", () => {
    const version = versionOf([
      { name: "island", datatype: "BYTES", shape: [-1n, 1n] },
      { name: "Beak Length (mm)", datatype: "FP32", shape: [-1n] },
    ]);

    assert.equal(exampleCall("penguins", version), "servable predict penguins island=text 'Beak Length (mm)=0'");
  });

  it("points to a file where an input is a picture", () => {
    assert.match(exampleCall("digits", versionOf([{ name: "image", datatype: "FP32", shape: [-1n, 28n, 28n, 1n] }])), /^servable predict digits --input/);
  });
});
