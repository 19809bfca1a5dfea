import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Arena, adam, sgd } from "../src/index.ts";

interface Golden {
  readonly weights: number[][];
  readonly averages: number[][];
  readonly gradient: number[];
  readonly norm: number;
  readonly clipped: number[];
}
const golden = JSON.parse(readFileSync(new URL("golden/average-and-clip.json", import.meta.url), "utf8")) as Golden;

describe("an arena", () => {
  it("keeps an average of parameters as PyTorch's AveragedModel does", () => {
    const arena = new Arena({ tensors: [{ name: "p", size: 3 }], optimizer: sgd({ learningRate: 0 }), averageDecay: 0.9 });

    golden.weights.forEach((weights, index) => {
      arena.parameter("p").set(weights);
      arena.update({ step: index + 1, learningRate: 0 });
      arena.average("p")?.forEach((value, at) => assert.ok(Math.abs(value - (golden.averages[index]?.[at] as number)) < 1e-6)); // f32
    });
  });

  it("measures gradients and scales them as PyTorch clips by norm", () => {
    const arena = new Arena({ tensors: [{ name: "a", size: 5 }, { name: "b", size: 7 }], optimizer: sgd({ learningRate: 1 }) });
    arena.gradient("a").set(golden.gradient.slice(0, 5));
    arena.gradient("b").set(golden.gradient.slice(5));

    const norm = arena.gradientNorm();
    arena.update({ step: 1, learningRate: 1, gradientScale: 1.5 / (norm + 1e-6) });

    assert.ok(Math.abs(norm / golden.norm - 1) < 1e-6);
    [...arena.parameter("a"), ...arena.parameter("b")].forEach((value, index) => assert.ok(Math.abs(value + (golden.clipped[index] as number)) < 1e-6)); // parameters were 0, the rate 1
  });

  it("limits each number of the gradients", () => {
    const arena = new Arena({ tensors: [{ name: "p", size: 5 }], optimizer: sgd() });
    arena.gradient("p").set([-3, -0.5, 0, 0.5, 3]);

    arena.clampGradients(1);

    assert.deepEqual([...arena.gradient("p")], [-1, -0.5, 0, 0.5, 1]);
  });

  it("shows a gradient that is not a number in its length", () => {
    const arena = new Arena({ tensors: [{ name: "p", size: 9 }], optimizer: sgd() });

    for (const bad of [NaN, Infinity, -Infinity]) {
      arena.gradient("p").fill(1)[8] = bad;
      assert.ok(!Number.isFinite(arena.gradientNorm()));
    }
  });

  it("keeps tensors apart at multiples of 64 bytes", () => {
    const arena = new Arena({ tensors: [{ name: "a", size: 17 }, { name: "b", size: 1 }, { name: "c", size: 3, decay: false }], optimizer: adam() });

    for (const name of ["a", "b", "c"]) assert.equal(arena.parameter(name).byteOffset % 64, 0);
    assert.equal(arena.parameterCount, 21);
    arena.gradient("a").fill(1);
    arena.gradient("b").fill(1);
    arena.gradient("c").fill(1);
    arena.update({ step: 1, learningRate: 0.1 });
    const all = new Float32Array(arena.memory.buffer);
    assert.equal(all.filter((value) => value !== 0).length, 4 * 21); // parameters, m, v, gradients; nothing between
  });

  it("reaches what lies beyond 2 GiB, and takes no memory for rows that nobody touched", () => {
    const [rows, width] = [544_000, 256];
    const before = process.memoryUsage.rss();
    const arena = new Arena({ tensors: [{ name: "table", size: rows * width }, { name: "last", size: 4 }], optimizer: adam() });
    const picked = new Float32Array(width).fill(2);

    arena.addRows("table", Int32Array.of(rows - 1), picked);
    arena.gradient("last").fill(-1);
    assert.ok(arena.gradient("last").byteOffset > 2 ** 31);
    assert.equal(arena.gradientNorm(), Math.sqrt(4 * width + 4));
    arena.update({ step: 1, learningRate: 0.5 });

    const table = arena.parameter("table");
    assert.ok(Math.abs((table.at(-1) ?? 0) + 0.5) < 1e-6 && table[0] === 0); // Adam's first step is the rate itself
    assert.ok(arena.parameter("last").every((value) => Math.abs(value - 0.5) < 1e-6));
    assert.ok(process.memoryUsage.rss() - before < 2 ** 28, "of 2.2 GB");
  });

  it("refuses more than its addresses reach, twice the same name, and names it does not know", () => {
    assert.throws(() => new Arena({ tensors: [{ name: "p", size: 3e8 }], optimizer: adam() }), /4 × 300000000 numbers take 4.5 GiB, an arena holds less than 4/);
    assert.throws(() => new Arena({ tensors: [{ name: "p", size: 1 }, { name: "p", size: 1 }], optimizer: adam() }), /same name/);
    const arena = new Arena({ tensors: [{ name: "p", size: 4 }], optimizer: adam() });
    assert.throws(() => arena.parameter("q"), /no tensor "q"/);
    assert.throws(() => arena.addRows("p", Int32Array.of(4), Float32Array.of(1)), /row 4 of a table of 4 rows/);
  });
});
