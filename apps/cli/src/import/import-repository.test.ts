import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { parseTextProto } from "@servable/triton-repository";
import { byDependency, versionPolicyOf, type ImportedModel } from "./import-repository.ts";

/** A model that was imported: folder number → registry's version. */
function imported(name: string, config: string, numbers: Record<number, number> = { 1: 1 }): ImportedModel {
  const versions = Object.entries(numbers).map(([number, version]) => ({ number: Number(number), version, outcome: version === 0 ? ("failed" as const) : ("imported" as const), reason: "", bytes: 0 }));
  return { name, versions, model: { name, folder: "", kind: "onnx", refusal: "", config: parseTextProto(ModelConfigSchema, config), versions: [], findings: [] } };
}

const calls = (...models: string[]): string => `ensemble_scheduling { ${models.map((model) => `step { model_name: "${model}" }`).join(" ")} }`;

describe("deploying a repository", () => {
  it("maps a version policy to the registry's numbers", () => {
    const policy = (config: string, numbers?: Record<number, number>) => versionPolicyOf(imported("m", config, numbers)).choice;

    assert.deepEqual(policy(""), { case: "latest", value: { versionCount: 1 } });
    assert.deepEqual(policy("version_policy { latest { num_versions: 2 } }"), { case: "latest", value: { versionCount: 2 } });
    assert.deepEqual(policy("version_policy { all { } }"), { case: "all", value: {} });
    assert.deepEqual(policy("version_policy { specific { versions: [1, 3, 9] } }", { 1: 4, 2: 5, 3: 6 }), { case: "specific", value: { versions: [4n, 6n] } });
    assert.throws(() => policy("version_policy { specific { versions: 7 } }"), (error: unknown) => error instanceof StatusError && /names the versions 7, of which none was imported/.test(error.message));
    assert.throws(() => policy("version_policy { specific { versions: 1 } }", { 1: 0 }), /none was imported/);
  });

  it("begins with what ensembles call, however deep, and ends also when they call each other", () => {
    const models = [imported("a", calls("b", "c")), imported("b", calls("c", "elsewhere")), imported("c", ""), imported("x", calls("y")), imported("y", calls("x"))];

    const order = byDependency(models).map(({ name }) => name);

    assert.deepEqual(order, ["c", "b", "a", "y", "x"]);
  });
});
