import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeploymentRecord, VersionRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";
import { WantedVersions } from "./wanted-versions.ts";

/** A store of models with one READY version each, which counts how often it is asked for them. */
function harness() {
  const newest = new Map<string, number>();
  const events: string[] = [];
  const asked: string[] = [];
  const store = {
    // A model without gates.
    models: { get: async () => ({ promotionGates: [] }) },
    versions: {
      list: async (model: string) => {
        asked.push(model);
        const number = newest.get(model);
        return number === undefined ? [] : [{ number, model } as VersionRecord];
      },
    },
    events: { resourcesAfter: async (sequence: number, limit: number) => events.slice(sequence, sequence + limit) },
  } as unknown as RegistryStore;
  const finalize = (model: string): void => {
    newest.set(model, (newest.get(model) ?? 0) + 1);
    events.push(`${model}/versions/${newest.get(model)}`);
  };
  const wanted = new WantedVersions();
  const read = async (...ids: string[]): Promise<(number | undefined)[]> => {
    const deployments = ids.map((id) => ({ name: `projects/p/deployments/${id}`, model: `projects/p/models/${id}`, policy: { kind: "latest", count: 1 } }) as DeploymentRecord);
    return (await wanted.of(store, deployments, events.length)).map(([version]) => version?.number);
  };
  return { finalize, read, asked, events };
}

describe("wanted versions", () => {
  it("are asked for once while nothing happens, and again when an event names their model", async () => {
    const { finalize, read, asked } = harness();
    for (const model of ["a", "b"]) finalize(`projects/p/models/${model}`);
    assert.deepEqual(await read("a", "b"), [1, 1]);
    assert.deepEqual(await read("a", "b"), [1, 1]);
    assert.equal(asked.length, 2);

    finalize("projects/p/models/a");

    assert.deepEqual(await read("a", "b"), [2, 1]);
    assert.deepEqual(asked, ["projects/p/models/a", "projects/p/models/b", "projects/p/models/a"]);
  });

  it("are asked for again when their deployment changed", async () => {
    const { finalize, read, asked, events } = harness();
    finalize("projects/p/models/a");
    await read("a");

    events.push("projects/p/deployments/a");
    await read("a");

    assert.equal(asked.length, 2);
  });

  it("are all asked for again when more happened than is looked through", async () => {
    const { finalize, read, asked, events } = harness();
    for (const model of ["a", "b"]) finalize(`projects/p/models/${model}`);
    await read("a", "b");

    for (let index = 0; index < 1_001; index++) events.push("projects/p/models/other");
    await read("a", "b");

    assert.equal(asked.length, 4);
  });
});
