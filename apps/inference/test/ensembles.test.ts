import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { EnsembleExecutor } from "../src/domain/executors/ensemble-executor.ts";
import { planEnsemble } from "../src/domain/executors/ensemble-plan.ts";
import { modelConfigOf } from "../src/domain/config/model-config.ts";
import { awaitStepModels, type StepModel } from "../src/domain/executors/pipeline-models.ts";
import { contextOf, fakeStepModel, modelsOf, namedTensor, requestOf, valuesOf, type FakeModel, type Type } from "./support/fake-step-model.ts";

const VECTOR: Type = ["INT32", [-1]];
const numbers = (values: readonly unknown[] | undefined): number[] => values as number[];

const plusOne: FakeModel = { name: "plus_one", inputs: { x: VECTOR }, outputs: { y: VECTOR }, answer: ({ x }) => ({ y: numbers(x).map((value) => value + 1) }) };
const double: FakeModel = { name: "double", inputs: { x: VECTOR }, outputs: { y: VECTOR }, answer: ({ x }) => ({ y: numbers(x).map((value) => 2 * value) }) };
const sum: FakeModel = { name: "sum", inputs: { a: VECTOR, b: VECTOR }, outputs: { s: VECTOR }, answer: ({ a, b }) => ({ s: numbers(a).map((value, index) => value + (numbers(b)[index] ?? 0)) }) };
/** One answer for each element. */
const each: FakeModel = { name: "each", inputs: { x: VECTOR }, outputs: { y: VECTOR }, settings: { model_transaction_policy: { decoupled: true } }, answer: ({ x }) => numbers(x).map((value) => ({ y: [value] })) };

type Step = readonly [model: string, inputs: Record<string, string>, outputs: Record<string, string>];

function configOf(steps: readonly Step[], more: object = {}) {
  const tensor = (name: string) => ({ name, data_type: "TYPE_INT32", dims: [-1] });
  return modelConfigOf("pipe", { inputs: [], outputs: [] }, JSON.stringify({
    input: [tensor("IN")],
    output: [tensor("OUT")],
    ensemble_scheduling: { step: steps.map(([model_name, input_map, output_map]) => ({ model_name, model_version: -1, input_map, output_map })) },
    ...more,
  }));
}

function ensembleOf(models: readonly StepModel[], steps: readonly Step[], more: object = {}): EnsembleExecutor {
  const config = configOf(steps, more);
  const { byName } = modelsOf(models);
  return new EnsembleExecutor({ name: "pipe", steps: planEnsemble(config, byName), outputs: config.output.map(({ name }) => name), inflightMax: 2, modelOf: byName });
}

const input = namedTensor("IN", "INT32", [1, 2, 3]);

describe("an ensemble", () => {
  it("hands tensors from step to step, whatever the order of its steps", async () => {
    const models = [plusOne, double].map(fakeStepModel);
    const ensemble = ensembleOf(models, [["double", { x: "mid" }, { y: "OUT" }], ["plus_one", { x: "IN" }, { y: "mid" }]]);

    const result = await ensemble.infer(requestOf([input]), contextOf());

    assert.deepEqual(valuesOf(result), { OUT: [4, 6, 8] });
    assert.equal(models[0]?.requests[0]?.inputs[0]?.data, input.data, "by reference");
  });

  it("runs steps that do not need each other side by side", async () => {
    const started: string[] = [];
    const track = (model: FakeModel): StepModel => {
      const made = fakeStepModel(model);
      return { ...made, infer: (request, context) => (started.push(model.name), made.infer(request, context).finally(() => started.push(`${model.name} done`))) };
    };
    const ensemble = ensembleOf([plusOne, double, sum].map(track), [["plus_one", { x: "IN" }, { y: "p" }], ["double", { x: "IN" }, { y: "d" }], ["sum", { a: "p", b: "d" }, { s: "OUT" }]]);

    const result = await ensemble.infer(requestOf([input]), contextOf());

    assert.deepEqual(valuesOf(result), { OUT: [4, 7, 10] });
    assert.deepEqual(started, ["plus_one", "double", "plus_one done", "double done", "sum", "sum done"]);
  });

  it("adds up where the time of its steps went", async () => {
    const ensemble = ensembleOf([plusOne, double].map(fakeStepModel), [["plus_one", { x: "IN" }, { y: "mid" }], ["double", { x: "mid" }, { y: "OUT" }]]);

    const { timings } = await ensemble.infer(requestOf([input]), contextOf());

    assert.deepEqual(timings, { queueNs: 2, inputNs: 4, inferNs: 6, outputNs: 8, executedBatchSize: 1, countsExecution: true });
  });

  it("leaves out steps that nobody asked for", async () => {
    const models = [plusOne, double].map(fakeStepModel);
    const outputs = [{ name: "OUT", data_type: "TYPE_INT32", dims: [-1] }, { name: "OTHER", data_type: "TYPE_INT32", dims: [-1] }];
    const ensemble = ensembleOf(models, [["plus_one", { x: "IN" }, { y: "OUT" }], ["double", { x: "IN" }, { y: "OTHER" }]], { output: outputs });

    const result = await ensemble.infer(requestOf([input], { outputs: ["OUT"] }), contextOf());

    assert.deepEqual(valuesOf(result), { OUT: [2, 3, 4] });
    assert.equal(models[1]?.requests.length, 0);
  });

  it("passes sequence, priority and parameters on, and only the outputs that are mapped", async () => {
    const model = fakeStepModel({ ...plusOne, outputs: { y: VECTOR, z: VECTOR } });
    const ensemble = ensembleOf([model], [["plus_one", { x: "IN" }, { y: "OUT" }]]);
    const sequence = { id: "7", numericId: 7n, start: true, end: false };
    await ensemble.infer(requestOf([input], { sequence, priority: 2, parameters: new Map([["k", "v"]]) }), contextOf());

    const [request] = model.requests;
    assert.deepEqual([request?.sequence, request?.priority, request?.parameters.get("k"), request?.outputs], [sequence, 2, "v", ["y"]]);
  });

  it("fails with the words of the step that failed, after the ensemble's name, and cancels the others", async () => {
    const broken = fakeStepModel({
      ...plusOne,
      answer: () => {
        throw new StatusError("SEQUENCE_NOT_STARTED", "inference request for sequence 1 …");
      },
    });
    const ensemble = ensembleOf([broken, fakeStepModel(double), fakeStepModel(sum)], [["plus_one", { x: "IN" }, { y: "p" }], ["double", { x: "IN" }, { y: "d" }], ["sum", { a: "p", b: "d" }, { s: "OUT" }]]);

    await assert.rejects(ensemble.infer(requestOf([input]), contextOf()), (error: unknown) => error instanceof StatusError && error.reason === "SEQUENCE_NOT_STARTED" && error.message === "in ensemble 'pipe', inference request for sequence 1 …");
  });

  it("refuses a tensor that a replaced step would no longer take", async () => {
    const models = [fakeStepModel(plusOne), fakeStepModel(double)];
    const ensemble = ensembleOf(models, [["plus_one", { x: "IN" }, { y: "mid" }], ["double", { x: "mid" }, { y: "OUT" }]]);
    Object.assign(models[1] as object, { target: fakeStepModel({ ...double, inputs: { x: ["INT32", [5]] } }).target });

    await assert.rejects(ensemble.infer(requestOf([input]), contextOf()), (error: unknown) => error instanceof StatusError && error.reason === "SHAPE_MISMATCH" && /input 'x' of the step 'double' has the shape \[5\], it was given \[3\]/.test(error.message));
  });

  it("answers once for each answer of a decoupled step, in its order", async () => {
    const ensemble = ensembleOf([each, double, sum].map(fakeStepModel), [["each", { x: "IN" }, { y: "one" }], ["double", { x: "one" }, { y: "OUT" }]], { model_transaction_policy: { decoupled: true } });

    const answers = await Array.fromAsync(ensemble.inferStream(requestOf([input]), contextOf()));

    assert.deepEqual(answers.map(valuesOf), [{ OUT: [2] }, { OUT: [4] }, { OUT: [6] }]);
    await assert.rejects(ensemble.infer(requestOf([input]), contextOf()), (error: unknown) => error instanceof StatusError && error.code === "UNIMPLEMENTED");
  });
});

describe("an ensemble is refused when it is loaded", () => {
  const all = modelsOf([plusOne, double, sum, each].map(fakeStepModel));
  const cases: readonly { what: string; steps: readonly Step[]; more?: object; message: RegExp }[] = [
    { what: "a step reads what nobody writes", steps: [["plus_one", { x: "nothing" }, { y: "OUT" }]], message: /nobody writes the tensor 'nothing' that 'plus_one' reads as 'x'/ },
    { what: "an input of a step is not mapped", steps: [["sum", { a: "IN" }, { s: "OUT" }]], message: /the input 'b' of 'sum' is mapped to no tensor/ },
    { what: "a step has no such input", steps: [["plus_one", { x: "IN", q: "IN" }, { y: "OUT" }]], message: /'plus_one' takes no 'q', only 'x'/ },
    { what: "a step has no such output", steps: [["plus_one", { x: "IN" }, { z: "OUT" }]], message: /'plus_one' gives no 'z', only 'y'/ },
    { what: "nobody writes its output", steps: [["plus_one", { x: "IN" }, { y: "mid" }]], message: /no step writes the ensemble's output 'OUT'/ },
    { what: "two steps write one tensor", steps: [["plus_one", { x: "IN" }, { y: "OUT" }], ["double", { x: "IN" }, { y: "OUT" }]], message: /'OUT' is written by 'double' and by 'plus_one'/ },
    { what: "steps wait for each other", steps: [["sum", { a: "IN", b: "q" }, { s: "OUT" }], ["double", { x: "OUT" }, { y: "q" }]], message: /in a circle: 'sum', 'double'/ },
    { what: "datatypes differ", steps: [["plus_one", { x: "IN" }, { y: "OUT" }]], more: { output: [{ name: "OUT", data_type: "TYPE_FP32", dims: [-1] }] }, message: /is FP32, 'plus_one' writes INT32/ },
    { what: "shapes differ", steps: [["plus_one", { x: "IN" }, { y: "OUT" }]], more: { output: [{ name: "OUT", data_type: "TYPE_INT32", dims: [2, 2] }] }, message: /has the shape \[2, 2\], 'plus_one' writes \[-1\]/ },
    { what: "a decoupled step stands in one that is not", steps: [["each", { x: "IN" }, { y: "OUT" }]], message: /'each' is decoupled, so the ensemble must be/ },
    { what: "decoupled steps stand side by side", steps: [["each", { x: "IN" }, { y: "a" }], ["each", { x: "IN" }, { y: "b" }], ["sum", { a: "a", b: "b" }, { s: "OUT" }]], more: { model_transaction_policy: { decoupled: true } }, message: /which of their answers belong together/ },
  ];
  for (const { what, steps, more, message } of cases) {
    it(`because ${what}`, () => {
      assert.throws(() => planEnsemble(configOf(steps, more), all.byName), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && /^ensemble 'pipe', ensemble_scheduling\./.test(error.message) && message.test(error.message));
    });
  }
});

describe("waiting for the models of a pipeline", () => {
  it("ends when all of them serve", async () => {
    const model = fakeStepModel(plusOne);
    model.state = "LOADING";
    setTimeout(() => (model.state = "READY"), 5);

    await awaitStepModels("ensemble 'pipe'", "p", [{ model: "plus_one", version: "" }], modelsOf([model]));

    assert.equal(model.state, "READY");
  });

  it("names the model that cannot be loaded", async () => {
    const model = fakeStepModel(plusOne);
    model.state = "FAILED";

    await assert.rejects(awaitStepModels("ensemble 'pipe'", "p", [{ model: "plus_one", version: "" }], modelsOf([model])), (error: unknown) => error instanceof StatusError && error.reason === "STEP_NOT_READY" && error.code === "UNAVAILABLE" && /ensemble 'pipe' depends on 'plus_one', which cannot be loaded/.test(error.message));
  });
});
