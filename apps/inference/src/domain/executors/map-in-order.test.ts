import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mapInOrder } from "./map-in-order.ts";

async function* numbersUpTo(count: number, onRead?: (value: number) => void): AsyncGenerator<number> {
  for (let value = 1; value <= count; value++) {
    onRead?.(value);
    yield value;
  }
}

describe("mapping a stream in order", () => {
  it("keeps the order of the items although later ones are done earlier", async () => {
    const results = mapInOrder(numbersUpTo(4), 4, async function* (value) {
      for (let turn = 0; turn < 5 - value; turn++) await new Promise(setImmediate);
      yield value;
      yield -value;
    });

    assert.deepEqual(await Array.fromAsync(results), [1, -1, 2, -2, 3, -3, 4, -4]);
  });

  it("works on as many items at once as allowed", async () => {
    let [running, most] = [0, 0];
    const results = mapInOrder(numbersUpTo(10), 3, async function* (value) {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      yield value;
    });
    await Array.fromAsync(results);

    assert.equal(most, 3);
  });

  it("reads no further once nobody reads its results", async () => {
    const read: number[] = [];
    for await (const result of mapInOrder(numbersUpTo(100, (value) => read.push(value)), 2, async function* (value) { yield value; })) if (result === 2) break;

    assert.ok(read.length <= 5, `read ${read.length}`);
  });

  it("fails where its source or an item fails, behind what came before", async () => {
    const seen: number[] = [];
    const results = mapInOrder(numbersUpTo(3), 3, async function* (value) {
      if (value === 2) throw new Error("two");
      yield value;
    });

    await assert.rejects(async () => {
      for await (const result of results) seen.push(result);
    }, /two/);
    assert.deepEqual(seen, [1]);
  });
});
