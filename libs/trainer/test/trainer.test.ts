import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { mlp, type Network } from "@servable/nn";
import { GraphError, reduceMean, relu, signatureOf, readModel } from "@servable/onnx";
import { adam, adamW, cosineSchedule, plateau, sgd } from "@servable/optim";
import { typedArrayOf, type Tensor } from "@servable/tensor";
import ort from "onnxruntime-node";
import { NODES_MAX, createTrainer, type Feeds, type Trainer } from "../src/index.ts";
import { batchOf, droppedOut, embedded, idsOf, joined, perceptron, remembering } from "./networks.ts";

const copyOf = (trainer: Trainer): Record<string, number[]> => Object.fromEntries([...trainer.weights()].map(([name, values]) => [name, [...values]]));
const isError = (reason: Reason, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, reason);
  assert.match(error.message, message);
  return true;
};

describe("a trainer", () => {
  it("learns", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: adam({ learningRate: 0.05 }), seed: 1 });
    const first = await trainer.evaluate(batchOf(256, 99));

    for (let step = 0; step < 200; step++) assert.ok((await trainer.step(batchOf(32, step))).applied);

    const last = await trainer.evaluate(batchOf(256, 99));
    assert.ok(first.loss > 1 && last.loss < 0.3, `${first.loss} → ${last.loss}`);
  });

  it("moves parameters by the gradient: one step of plain descent is what finite differences say", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd({ learningRate: 1 }), seed: 1 });
    const batch = batchOf(8, 1);
    const before = copyOf(trainer);
    const bias = trainer.weights().get("layers.1.bias") as Float32Array;
    const slopes: number[] = [];
    for (const at of bias.keys()) {
      const losses: number[] = [];
      for (const shift of [0.01, -0.01]) {
        bias[at] = (before["layers.1.bias"]?.[at] ?? 0) + shift;
        losses.push((await trainer.evaluate(batch)).loss);
      }
      bias[at] = before["layers.1.bias"]?.[at] ?? 0;
      slopes.push(((losses[0] ?? 0) - (losses[1] ?? 0)) / 0.02);
    }

    const { gradientNorm } = await trainer.step(batch);

    const moved = Object.entries(before).flatMap(([name, values]) => values.map((value, at) => value - (trainer.weights().get(name)?.[at] ?? 0)));
    slopes.forEach((slope, at) => assert.ok(Math.abs((before["layers.1.bias"]?.[at] ?? 0) - (bias[at] ?? 0) - slope) < 1e-4, `${slope}`)); // f32 losses, differences of 0.02
    assert.ok(Math.abs(Math.hypot(...moved) - gradientNorm) < 1e-5);
  });

  it("moves several batches of a step as one of all their rows", async () => {
    const options = { network: perceptron, optimizer: adam({ learningRate: 0.05 }), seed: 1 };
    await using whole = await createTrainer(options);
    await using parts = await createTrainer(options);

    for (let step = 0; step < 5; step++) {
      const pieces = [batchOf(5, 2 * step), batchOf(11, 2 * step + 1)];
      const [a, b] = [await whole.step(joined(...pieces)), await parts.step(pieces)];
      assert.ok(Math.abs(a.loss - b.loss) < 1e-6 && Math.abs(a.gradientNorm - b.gradientNorm) < 1e-6);
    }

    for (const [name, values] of whole.weights()) parts.weights().get(name)?.forEach((value, at) => assert.ok(Math.abs(value - (values[at] ?? 0)) < 1e-5, name)); // sums in another order, Adam's quotient
  });

  it("adds the rows of several batches in a table's gradient", async () => {
    const options = { network: embedded, optimizer: sgd({ learningRate: 0.5 }), seed: 1 };
    await using twice = await createTrainer(options);
    await using once = await createTrainer(options);

    await once.step(idsOf(6, 3));
    await twice.step([idsOf(6, 3), idsOf(6, 3)]);

    for (const [name, values] of once.weights()) twice.weights().get(name)?.forEach((value, at) => assert.ok(Math.abs(value - (values[at] ?? 0)) < 1e-6, name)); // the mean of two equal gradients
  });

  it("learns a table by its rows and leaves the others alone", async () => {
    await using trainer = await createTrainer({ network: embedded, optimizer: adam({ learningRate: 0.05 }), seed: 1 });
    const before = copyOf(trainer);
    const first = await trainer.step(idsOf(32, 0));

    for (let step = 1; step < 100; step++) await trainer.step(idsOf(32, step));

    const table = trainer.weights().get("table.weight") as Float32Array;
    assert.ok((await trainer.evaluate(idsOf(32, 5))).loss < first.loss / 4);
    assert.deepEqual([...table.subarray(23 * 4)], before["table.weight"]?.slice(23 * 4));
    assert.notDeepEqual([...table.subarray(0, 4)], before["table.weight"]?.slice(0, 4));
  });

  it("writes buffers back after each step and uses them in evaluations; frozen parameters stay", async () => {
    await using trainer = await createTrainer({ network: remembering, optimizer: sgd(), seed: 1 });
    const meanOf = (batch: Feeds): number[] => [0, 1, 2, 3].map((column) => (batch["x"]?.data as Float32Array).filter((_, index) => index % 4 === column).reduce((sum, value) => sum + value, 0) / 8);
    const batches = [batchOf(8, 1), batchOf(8, 2)];
    const before = (await trainer.evaluate(batches[0] as Feeds)).loss;

    await trainer.step(batches); // two batches of one step: the second reads what the first left

    const want = meanOf(batches[0] as Feeds).map((value, column) => value / 4 + (meanOf(batches[1] as Feeds)[column] ?? 0) / 2);
    trainer.weights().get("mean")?.forEach((value, column) => assert.ok(Math.abs(value - (want[column] ?? 0)) < 1e-6));
    assert.deepEqual([...(trainer.weights().get("frozen") ?? [])], [0.5, 0.5, 0.5, 0.5]);
    assert.notEqual((await trainer.evaluate(batches[0] as Feeds)).loss, before);
    assert.equal(trainer.parameterCount, 4 * 8 + 8 + 8 * 3 + 3);
  });

  it("changes nothing in a step whose loss is not finite", async () => {
    await using trainer = await createTrainer({ network: remembering, optimizer: adam(), seed: 1, averageDecay: 0.9 });
    for (let step = 0; step < 3; step++) await trainer.step(batchOf(8, step));
    const before = trainer.save();
    const bad = batchOf(8, 3);
    (bad["x"]?.data as Float32Array)[5] = NaN;

    const result = await trainer.step([batchOf(8, 2), bad]);

    assert.equal(result.applied, false);
    assert.equal(result.step, 3);
    assert.deepEqual(trainer.save(), before);
    assert.deepEqual({ ...(await trainer.step(batchOf(8, 4))), loss: 0, gradientNorm: 0 }, { step: 4, loss: 0, gradientNorm: 0, learningRate: 0.001, applied: true });
  });

  it("clips by the length of all gradients, and tells the length before", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd({ learningRate: 1 }), seed: 1, clipNorm: 0.01 });
    const before = copyOf(trainer);

    const { gradientNorm } = await trainer.step(batchOf(8, 1));

    const moved = Object.entries(before).flatMap(([name, values]) => values.map((value, at) => value - (trainer.weights().get(name)?.[at] ?? 0)));
    assert.ok(gradientNorm > 0.1);
    assert.ok(Math.abs(Math.hypot(...moved) - 0.01) < 1e-5); // f32 parameters of about 1
  });

  it("clips each number", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd({ learningRate: 1 }), seed: 1, clipValue: 0.001 });
    const before = copyOf(trainer);

    await trainer.step(batchOf(8, 1));

    const moved = Object.entries(before).flatMap(([name, values]) => values.map((value, at) => Math.abs(value - (trainer.weights().get(name)?.[at] ?? 0))));
    assert.ok(Math.max(...moved) < 0.00101 && Math.max(...moved) > 0.00099);
  });

  it("follows a schedule, and the plateau below it", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd({ learningRate: 0.2 }), schedule: cosineSchedule({ steps: 4 }), plateau: plateau({ patience: 0, factor: 0.5 }) });
    const rates: number[] = [];

    for (let step = 0; step < 4; step++) {
      rates.push((await trainer.step(batchOf(8, step))).learningRate);
      if (step > 0) trainer.observe(1); // the second observation is no improvement
    }

    [0.2, 0.2 * 0.8535533905932737, 0.1, 0.2 * 0.14644660940672627 * 0.5].forEach((want, step) => assert.ok(Math.abs((rates[step] ?? 0) - want) < 1e-12, rates.join()));
  });

  it("keeps an average that evaluations and exports use", async () => {
    const options = { network: perceptron, optimizer: sgd({ learningRate: 0.5 }), seed: 1 };
    await using plain = await createTrainer(options);
    await using averaged = await createTrainer({ ...options, averageDecay: 0.9 });

    const name = "layers.1.bias";
    const path: number[] = [];
    for (let step = 0; step < 4; step++) {
      await plain.step(batchOf(8, step));
      await averaged.step(batchOf(8, step));
      path.push(plain.weights().get(name)?.[0] ?? 0);
    }

    const want = path.reduce((average, value, index) => (index === 0 ? value : average * 0.9 + value * 0.1), 0);
    assert.ok(Math.abs((averaged.weights().get(name)?.[0] ?? 0) - want) < 1e-6);
    assert.notEqual((await averaged.evaluate(batchOf(8, 9))).loss, (await plain.evaluate(batchOf(8, 9))).loss);
    assert.notDeepEqual(averaged.export(), plain.export());
  });

  it("exports a model that computes what evaluations did", async () => {
    await using trainer = await createTrainer({ network: remembering, optimizer: adamW({ learningRate: 0.05 }), seed: 1 });
    for (let step = 0; step < 10; step++) await trainer.step(batchOf(8, step));
    const batch = batchOf(6, 50);
    const { outputs } = await trainer.evaluate(batch);

    const model = trainer.export();

    const session = await ort.InferenceSession.create(model);
    const { logits } = await session.run({ x: new ort.Tensor("float32", batch["x"]?.data as Float32Array, [6, 4]) });
    const want = typedArrayOf(outputs["logits"] as Tensor) as Float32Array;
    (logits?.data as Float32Array).forEach((value, at) => assert.ok(Math.abs(value - (want[at] ?? 0)) < 1e-5)); // constants are folded
    assert.deepEqual(signatureOf(readModel(model)).inputs.map(({ name }) => name), ["x"]);
  });

  it("begins with given values instead of the network's own", async () => {
    const given = Float32Array.of(1, 2, 3);
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd(), initial: new Map([["layers.1.bias", given]]) });

    assert.deepEqual(trainer.weights().get("layers.1.bias"), given);
    await assert.rejects(createTrainer({ network: perceptron, optimizer: sgd(), initial: new Map([["layers.9.bias", given]]) }), isError("NETWORK_INVALID", /initial values are given for "layers.9.bias"/));
    await assert.rejects(createTrainer({ network: perceptron, optimizer: sgd(), initial: new Map([["layers.1.bias", Float32Array.of(1)]]) }), isError("NETWORK_INVALID", /"layers.1.bias" takes 3 numbers/));
  });

  it("draws new masks for each step and none in evaluations", async () => {
    await using trainer = await createTrainer({ network: droppedOut, optimizer: sgd({ learningRate: 0 }), seed: 1 });
    const batch = batchOf(16, 1);

    const losses = [await trainer.step(batch), await trainer.step(batch), await trainer.step(batch)].map(({ loss }) => loss);

    assert.equal(new Set(losses).size, 3);
    assert.equal((await trainer.evaluate(batch)).loss, (await trainer.evaluate(batch)).loss);
  });

  it("trains batches of more sizes than it keeps sessions for", async () => {
    const options = { network: perceptron, optimizer: adam(), seed: 1 };
    await using few = await createTrainer({ ...options, sessionsMax: 1 });
    await using many = await createTrainer(options);

    for (const rows of [1, 2, 3, 2, 1]) for (const trainer of [few, many]) await trainer.step([batchOf(rows, rows), batchOf(rows + 4, rows)]);

    assert.deepEqual(copyOf(few), copyOf(many));
  });

  it("trains a network that only has one size", async () => {
    const fixed: Network = (nn) => {
      const x = nn.input("x", "FP32", ["batch", 4]);
      const shifts = nn.graph.constant("FP32", [3, 4], Array.from({ length: 12 }, (_, index) => index / 12));
      const values = mlp(nn, nn.graph.node("Concat", [x, shifts], { datatype: "FP32", shape: [x.shape[0] === 3 ? 6 : "?", 4] }, { axis: 0 }), { outputs: 1 });
      if (values.shape[0] !== 6) throw new GraphError("3 rows are needed");
      return { loss: reduceMean(nn.graph, values, [0, 1]), outputs: { values } };
    };
    await assert.rejects(createTrainer({ network: fixed, optimizer: sgd() }), isError("NETWORK_INVALID", /3 rows are needed/));
    await using trainer = await createTrainer({ network: fixed, optimizer: sgd(), dimensions: { batch: 3 } });

    assert.ok((await trainer.step({ x: batchOf(3, 0)["x"] as Feeds[string] })).applied);
    assert.equal((await trainer.evaluate({ x: batchOf(3, 0)["x"] as Feeds[string] })).outputs["values"]?.shape[0], 6);
    await assert.rejects(trainer.step({ x: batchOf(4, 0)["x"] as Feeds[string] }), isError("SHAPE_MISMATCH", /\[4,4\]; \[3,4\] is needed/));
  });

  it("knows its graph by a digest once the sizes are known", async () => {
    await using late = await createTrainer({ network: perceptron, optimizer: sgd() });
    await using eager = await createTrainer({ network: perceptron, optimizer: sgd(), dimensions: { batch: 8 } });

    assert.equal(late.graphDigest, undefined);
    await late.step(batchOf(8, 0));

    assert.match(late.graphDigest ?? "", /^[0-9a-f]{64}$/);
    assert.equal(eager.graphDigest, late.graphDigest);
  });
});

describe("a trainer refuses", () => {
  const BATCHES: Readonly<Record<string, readonly [Feeds, Reason, RegExp]>> = {
    "a batch without an input": [{ x: batchOf(2, 0)["x"] as Feeds[string] }, "INPUT_MISSING", /lacks the input "targets" \(FP32 \[batch,3\]\)/],
    "numbers of another datatype": [{ ...batchOf(2, 0), x: { data: new Int32Array(8), shape: [2, 4] } }, "DATATYPE_MISMATCH", /input "x" is FP32: feed a Float32Array, not a Int32Array/],
    "a shape that does not hold its numbers": [{ ...batchOf(2, 0), x: { data: new Float32Array(7), shape: [2, 4] } }, "SHAPE_MISMATCH", /takes 8 numbers, 7 were fed/],
    "rows of another width": [{ ...batchOf(2, 0), x: { data: new Float32Array(10), shape: [2, 5] } }, "SHAPE_MISMATCH", /\[2,5\]; \[batch = 2,4\] is needed/],
    "inputs of different lengths": [{ ...batchOf(2, 0), targets: { data: new Float32Array(9), shape: [3, 3] } }, "SHAPE_MISMATCH", /"targets" has the shape \[3,3\]; \[batch = 2,3\]/],
  };
  for (const [name, [batch, reason, message]] of Object.entries(BATCHES)) {
    it(name, async () => {
      await using trainer = await createTrainer({ network: perceptron, optimizer: sgd() });
      const before = trainer.save();

      await assert.rejects(trainer.step(batch), isError(reason, message));
      await assert.rejects(trainer.evaluate(batch), isError(reason, message));

      assert.deepEqual(trainer.save(), before);
    });
  }

  it("an id outside its table, with nothing changed", async () => {
    await using trainer = await createTrainer({ network: embedded, optimizer: adam(), seed: 1 });
    await trainer.step(idsOf(4, 0));
    const before = trainer.save();
    const bad = idsOf(4, 1);
    (bad["ids"]?.data as BigInt64Array)[3] = 99n;

    await assert.rejects(trainer.step([idsOf(4, 2), bad]), isError("INFERENCE_FAILED", /the batch cannot be computed; is an id or a label outside its range\?/));

    assert.deepEqual(trainer.save(), before);
    assert.equal((await trainer.step(idsOf(4, 3))).step, 2);
  });

  it("a step without a batch", async () => {
    await using trainer = await createTrainer({ network: perceptron, optimizer: sgd() });
    await assert.rejects(trainer.step([]), isError("INPUT_MISSING", /at least one batch/));
  });

  const NETWORKS: Readonly<Record<string, readonly [Network, RegExp]>> = {
    "a network without a loss": [(nn) => ({ outputs: { y: mlp(nn, nn.input("x", "FP32", ["batch", 2]), { outputs: 1 }) } }), /it has no loss/],
    "a network without parameters": [(nn) => ({ loss: reduceMean(nn.graph, nn.input("x", "FP32", ["batch", 2]), [0, 1]), outputs: {} }), /none of its parameters is trainable/],
    "operands that do not fit": [(nn) => ({ loss: reduceMean(nn.graph, mlp(nn, nn.input("x", "FP32", ["batch"]), { outputs: 1 }), [0, 1]), outputs: {} }), /the network cannot be trained: /],
    "a graph of too many nodes": [
      (nn) => {
        let y = mlp(nn, nn.input("x", "FP32", ["batch", 2]), { outputs: 1 });
        for (let layer = 0; layer < NODES_MAX; layer++) y = relu(nn.graph, y);
        return { loss: reduceMean(nn.graph, y, [0, 1]), outputs: {} };
      },
      /its graph has 2\d{4} nodes, at most 20000 are run: shorten what is unrolled/,
    ],
    "an operator without a gradient": [
      (nn) => {
        const y = mlp(nn, nn.input("x", "FP32", ["batch", 2]), { outputs: 1 });
        return { loss: reduceMean(nn.graph, nn.graph.node("NoSuchOperator", [y], { datatype: "FP32", shape: y.shape }), [0, 1]), outputs: {} };
      },
      /NoSuchOperator has no gradient rule/,
    ],
  };
  for (const [name, [network, message]] of Object.entries(NETWORKS)) {
    it(`${name}, before data is read`, () => assert.rejects(createTrainer({ network, optimizer: sgd(), dimensions: { batch: 4 } }), isError("NETWORK_INVALID", message)));
  }
});
