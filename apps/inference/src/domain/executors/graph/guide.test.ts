import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { modelNodesOf } from "./graph-node.ts";
import { parseGraph } from "./parse-graph.ts";

describe("the guide to pipelines", () => {
  it("shows graphs that can be read", () => {
    const guide = readFileSync(new URL("../../../../../../docs/guides/pipelines.md", import.meta.url), "utf8");
    const graphs = [...guide.matchAll(/```yaml\n(root:[^`]*)```/g)].map(([, text = ""]) => parseGraph(text));

    assert.deepEqual(graphs.map((graph) => new Set(modelNodesOf(graph).map(({ model }) => model))), [new Set(["detector", "large", "small", "candidate"]), new Set(["intents"])]);
  });
});
