import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { adam, sgd } from "@servable/optim";
import { createTrainer, type Snapshot } from "../src/index.ts";
import { batchOf, perceptron, remembering } from "./networks.ts";

const folder = mkdtempSync(join(tmpdir(), "resume-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const train = (...args: readonly string[]): string => execFileSync(process.execPath, [new URL("resume-child.ts", import.meta.url).pathname, ...args], { encoding: "utf8" });

describe("a training in other processes", () => {
  for (const kind of ["dropout", "buffers", "rows"]) {
    it(`ends bit by bit alike, undisturbed or resumed from a snapshot: ${kind}`, () => {
      const [whole, half, resumed] = ["whole", "half", "resumed"].map((name) => join(folder, `${kind}-${name}`)) as [string, string, string];

      const undisturbed = train(kind, "0", "40", whole);
      train(kind, "0", "17", half);

      assert.equal(train(kind, "17", "40", resumed, half), undisturbed);
      assert.match(undisturbed, /^[0-9a-f]{64} [0-9a-f]{64}\n$/);
    });
  }
});

describe("a snapshot", () => {
  it("stays what it was while training goes on, and brings a trainer back", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: adam(), seed: 1 });
    await trainer.step(batchOf(8, 0));
    const snapshot = trainer.save();
    const next = await trainer.step(batchOf(8, 1));
    const after = trainer.save();

    trainer.restore(snapshot);

    assert.deepEqual(await trainer.step(batchOf(8, 1)), next);
    assert.deepEqual(trainer.save(), after);
  });

  const without = (snapshot: Snapshot, key: string): Snapshot => ({ ...snapshot, tensors: new Map([...snapshot.tensors].filter(([name]) => name !== key)) });
  const reshaped = (snapshot: Snapshot, key: string): Snapshot => ({ ...snapshot, tensors: new Map([...snapshot.tensors].map(([name, tensor]) => [name, name === key ? { shape: [1], data: new Float32Array(1) } : tensor])) });
  const FOREIGN: Readonly<Record<string, readonly [(snapshot: Snapshot) => Snapshot, RegExp]>> = {
    "that lacks a tensor": [(snapshot) => without(snapshot, "optimizer/m/layers.0.weight"), /lacks "optimizer\/m\/layers.0.weight"/],
    "whose tensor has another shape": [(snapshot) => reshaped(snapshot, "parameter/layers.1.bias"), /"parameter\/layers.1.bias" has the shape \[1\] in the checkpoint and \[3\] in the network/],
    "without a step": [(snapshot) => ({ ...snapshot, state: { ...snapshot.state, step: "x" } }), /step is "x"/],
    "of another seed": [(snapshot) => ({ ...snapshot, state: { ...snapshot.state, seed: "9" } }), /is of seed "9", the trainer has 1/],
    "of another optimizer": [(snapshot) => ({ ...snapshot, state: { ...snapshot.state, optimizer: { name: "lion" } } }), /is of optimizer "lion", the trainer has "adam"/],
  };
  for (const [name, [change, message]] of Object.entries(FOREIGN)) {
    it(`${name} is refused, and nothing changes`, async () => {
      await using trainer = await createTrainer({ network: perceptron, optimizer: adam(), seed: 1 });
      const foreign = change(trainer.save());
      await trainer.step(batchOf(8, 0));
      const before = trainer.save();

      assert.throws(() => trainer.restore(foreign), (error) => error instanceof StatusError && error.reason === "CHECKPOINT_INCOMPATIBLE" && message.test(error.message));

      assert.deepEqual(trainer.save(), before);
    });
  }
});

describe("frozen parameters", () => {
  it("are not part of a snapshot, but it knows them", async () => {
    const options = { network: remembering, optimizer: adam(), seed: 1 };
    await using trainer = await createTrainer(options);
    await trainer.step(batchOf(8, 0));
    const snapshot = trainer.save();
    await using other = await createTrainer({ ...options, initial: new Map([["frozen", Float32Array.of(1, 2, 3, 4)]]) });

    assert.ok(!snapshot.tensors.has("parameter/frozen") && snapshot.tensors.has("buffer/mean"));
    assert.throws(() => other.restore(snapshot), /stands on other frozen parameters/);
    trainer.restore(snapshot);
  });
});

describe("memory", () => {
  it("does not grow from step to step", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd(), seed: 1 });
    const batches = [batchOf(64, 0), batchOf(64, 1)];
    const steps = async (count: number): Promise<number> => {
      for (let step = 0; step < count; step++) await trainer.step(batches[step % 2] ?? {});
      return process.memoryUsage.rss();
    };
    await steps(500);

    const before = await steps(1);
    const grown = (await steps(1_500)) - before;

    assert.ok(grown < 24 * 2 ** 20, `${grown}`); // garbage between two collections; 1,500 leaked batches would be 2.7 MB in tensors alone and as many handles
  });
});
