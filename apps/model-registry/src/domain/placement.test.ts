import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { place, type PlacedDeployment } from "./placement.ts";
import type { ReplicaRecord, VersionRecord } from "./records.ts";

const replicas = Array.from({ length: 6 }, (_, index): ReplicaRecord => ({ replicaId: `r${index}`, address: "", memoryBudgetBytes: 0, draining: false, expireTimeMs: 0 }));

function deployed(name: string, config: object = {}, project = "p"): PlacedDeployment {
  const deployment = { name: `projects/${project}/deployments/${name}`, project, model: `projects/${project}/models/${name}`, policy: { kind: "latest", count: 1 }, replicaCount: 1, servingConfigJson: "", revision: 1, createTimeMs: 0, updateTimeMs: 0 } as const;
  const version = { name: `${deployment.model}/versions/1`, number: 1, artifacts: [], servingConfigJson: JSON.stringify(config) } as unknown as VersionRecord;
  return { deployment, wanted: [version], statuses: [] };
}
const holdersOf = (deployments: readonly PlacedDeployment[]) => {
  const placed = place(deployments, replicas);
  return (name: string, project = "p"): readonly string[] => placed.get(`projects/${project}/deployments/${name}`) ?? [];
};
const calls = (...models: string[]) => ({ ensemble_scheduling: { step: models.map((model_name) => ({ model_name })) } });
const graph = (text: string) => ({ parameters: { "servable.graph": { string_value: text } } });

describe("where pipelines are placed", () => {
  it("has their models beside them, and where they are anyway", () => {
    const alone = holdersOf([deployed("a"), deployed("b"), deployed("c"), deployed("pipe")]);
    const holders = holdersOf([deployed("a"), deployed("b"), deployed("c"), deployed("pipe", calls("a", "b"))]);

    const [home = ""] = holders("pipe");
    for (const step of ["a", "b"]) assert.deepEqual(new Set(holders(step)), new Set([...alone(step), home]));
    assert.deepEqual(holders("c"), alone("c"));
  });

  it("has the models of pipelines that they call beside them too", () => {
    const holders = holdersOf([deployed("a"), deployed("inner", calls("a")), deployed("outer", calls("inner"))]);

    for (const name of ["inner", "a"]) assert.ok(holders(name).includes(holders("outer")[0] ?? "none"));
  });

  it("has the models of a typed graph beside it, however deep they stand", () => {
    const holders = holdersOf([deployed("a"), deployed("b"), deployed("g", graph("root:\n  switch:\n    cases: [{when: {parameter: x, '==': 1}, then: {node: n}}]\n    otherwise: {model: b}\nnodes: {n: {model: a}}"))]);

    for (const name of ["a", "b"]) assert.ok(holders(name).includes(holders("g")[0] ?? "none"));
  });

  it("takes no model of another project for a step, and bears graphs that cannot be read and pipelines that call each other", () => {
    const names = Array.from({ length: 20 }, (_, index) => `m${index}`);
    const others = names.map((name) => deployed(name, {}, "q"));
    const holders = holdersOf([...others, deployed("pipe", calls(...names)), deployed("broken", graph("{")), deployed("x", calls("y")), deployed("y", calls("x"))]);
    const alone = holdersOf([...others, deployed("pipe"), deployed("broken"), deployed("x"), deployed("y")]);

    for (const name of names) assert.deepEqual(holders(name, "q"), alone(name, "q"));
    assert.deepEqual(new Set(holders("x")), new Set(holders("y")));
  });
});
