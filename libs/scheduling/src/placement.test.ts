import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { movedCopies, placeModels, type PlacedModel, type PlacementReplica } from "./placement.ts";
import { seededRandom } from "./seeded-random.ts";

const replicas = (count: number, budgetBytes = 0): PlacementReplica[] => Array.from({ length: count }, (_, index) => ({ id: `replica-${index}`, budgetBytes }));
const models = (count: number, more: (index: number) => Partial<PlacedModel> = () => ({})): PlacedModel[] => Array.from({ length: count }, (_, index) => ({ name: `projects/p/deployments/m${index}`, replicaCount: 1, ...more(index) }));
const held = (placed: ReadonlyMap<string, readonly string[]>, id: string): string[] => [...placed].filter(([, ids]) => ids.includes(id)).map(([name]) => name);

describe("placement", () => {
  it("puts the copies of a model on different replicas, as many as there are", () => {
    const placed = placeModels(models(50, () => ({ replicaCount: 3 })), replicas(2));

    for (const ids of placed.values()) assert.deepEqual([...ids].sort(), ["replica-0", "replica-1"]);
    assert.deepEqual([...placeModels(models(1), []).values()], [[]]);
  });

  it("does not depend on the order in which it hears of models and replicas", () => {
    const [some, where] = [models(200, (index) => ({ bytes: 1 + (index % 17), replicaCount: 1 + (index % 2) })), replicas(5, 1_000)];

    const again = placeModels(some.toReversed(), where.toReversed());
    for (const [name, ids] of placeModels(some, where)) assert.deepEqual(again.get(name), ids);
  });

  it("moves what a lost replica held and next to nothing else", () => {
    const some = models(2_000);
    const before = placeModels(some, replicas(8));
    const after = placeModels(some, replicas(8).filter(({ id }) => id !== "replica-3"));

    const lost = held(before, "replica-3").length;
    assert.ok(movedCopies(before, after) <= 1.3 * lost, `${movedCopies(before, after)} moved, ${lost} were lost`);
  });

  it("moves a fair share to a replica that joins and next to nothing else", () => {
    const some = models(2_000);
    const [before, after] = [placeModels(some, replicas(7)), placeModels(some, replicas(8))];

    const joined = held(after, "replica-7").length;
    assert.ok(joined > 125 && joined <= 1.25 * 1.1 * 250, `${joined} joined`);
    assert.ok(movedCopies(before, after) <= 1.3 * joined, `${movedCopies(before, after)} moved, ${joined} joined`);
  });

  it("moves next to nobody when one model more is deployed", () => {
    const moved = Array.from({ length: 50 }, (_, more) => movedCopies(placeModels(models(500 + more), replicas(4)), placeModels(models(501 + more), replicas(4))) - 1);

    assert.ok(moved.filter((count) => count > 0).length <= 2, moved.join());
  });

  it("fills no replica above its memory while others have room", () => {
    // 80 models of 10 in 4 × 250: rendezvous alone puts more than 25 somewhere.
    const some = models(80, () => ({ bytes: 10 }));
    for (const { id } of replicas(4)) assert.ok(held(placeModels(some, replicas(4, 250)), id).length <= 25);
  });

  it("overcommits evenly when all of it does not fit", () => {
    const placed = placeModels(models(1_000, () => ({ bytes: 10 })), replicas(4, 500));

    for (const { id } of replicas(4)) assert.ok(held(placed, id).length <= 250 * 1.25 * 1.1, `${held(placed, id).length}`);
  });

  it("gives a replica with twice the memory about twice the models", () => {
    const placed = placeModels(models(3_000), [{ id: "small", budgetBytes: 100 }, { id: "large", budgetBytes: 200 }]);

    const large = held(placed, "large").length;
    assert.ok(Math.abs(large - 2_000) < 150, `${large}`);
  });

  it("keeps pinned models within memory although the load would be more even elsewhere", () => {
    const pinned = models(4, () => ({ bytes: 60, pinned: true }));
    const placed = placeModels([...models(100).map((each) => ({ ...each, name: `${each.name}-small`, bytes: 5 })), ...pinned], replicas(4, 100));

    for (const { id } of replicas(4)) assert.equal(held(placed, id).filter((name) => !name.endsWith("-small")).length, 1);
  });

  it("spreads heavy traffic: hot models pass over a replica that has its share", () => {
    const some = models(400, (index) => ({ load: 1_000 / (index + 1) }));
    const placed = placeModels(some, replicas(4));

    const loads = replicas(4).map(({ id }) => some.filter(({ name }) => placed.get(name)?.includes(id)).reduce((total, { load = 0 }) => total + load, 0));
    const mean = loads.reduce((a, b) => a + b) / 4;
    assert.ok(Math.max(...loads) <= mean * 1.25 * 1.1, loads.join());
  });

  for (const seed of [21, 22, 23]) {
    it(`keeps its promises for any fleet (seed ${seed})`, () => {
      const random = seededRandom(seed);
      for (let round = 0; round < 60; round++) {
        const where = Array.from({ length: 1 + Math.floor(random() * 9) }, (_, index) => ({ id: `r${index}`, budgetBytes: random() < 0.2 ? 0 : 100 + Math.floor(random() * 900) }));
        const some = models(Math.floor(random() * 120), () => ({ bytes: Math.floor(random() * 80), replicaCount: 1 + Math.floor(random() * 3), pinned: random() < 0.05, load: random() < 0.5 ? 1 : random() * 50 }));
        const placed = placeModels(some, where);
        for (const { name, replicaCount } of some) {
          const ids = placed.get(name) ?? [];
          assert.equal(new Set(ids).size, Math.min(replicaCount, where.length));
          assert.equal(ids.length, new Set(ids).size);
        }
      }
    });
  }
});
