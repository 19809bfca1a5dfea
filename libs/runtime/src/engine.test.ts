import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { StatusError, type Reason } from "@servable/errors";
import { Graph, buildModel, identity } from "@servable/onnx";
import { decodeBytesElements, elementsOf, encodeBytesElements, tensorOf, type Datatype } from "@servable/tensor";
import { addSubModel, identityModel, tempDir } from "@servable/testing";
import { BlockingFrames } from "./blocking-frames.ts";
import { FrameReader, encodeFrame, tensorsOf, type Frame, type TensorHeader } from "./frame.ts";
import { startEngineProcess, type Engine, type NamedTensor } from "./index.ts";

const reason = (want: Reason) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want, error.message);
  return true;
};
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
};

describe("frames", () => {
  const payloadsOf = fc.array(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 3 }), { maxLength: 6 });
  const headersOf = (tensors: readonly Uint8Array[]): TensorHeader[] => tensors.map((data, index) => ({ name: String(index), datatype: "UINT8", shape: [data.length], bytes: data.length }));
  const framesOf = (payloads: readonly (readonly Uint8Array[])[]): Buffer => Buffer.concat(payloads.flatMap((tensors, id) => encodeFrame(id, headersOf(tensors), tensors)));
  const tensorsIn = ({ header, payload }: Frame): Buffer[] => tensorsOf(header as TensorHeader[], payload).map(({ data }) => Buffer.from(data));
  const want = (payloads: readonly (readonly Uint8Array[])[]): Buffer[][] => payloads.map((tensors) => tensors.map((each) => Buffer.from(each)));

  it("come out as they went in, however the bytes are cut", () => {
    fc.assert(
      fc.property(payloadsOf, fc.integer({ min: 1, max: 20 }), (payloads, cut) => {
        const bytes = framesOf(payloads);
        const got: Buffer[][] = [];
        const reader = new FrameReader((frame) => got.push(tensorsIn(frame)));
        for (let offset = 0; offset < bytes.length; offset += cut) reader.push(bytes.subarray(offset, offset + cut));

        assert.deepEqual(got, want(payloads));
      }),
    );
  });

  it("are read by the engine as they were written, each tensor at a multiple of 8 bytes", () => {
    using directory = tempDir();
    const path = join(directory.path, "frames");
    fc.assert(
      fc.property(payloadsOf, fc.integer({ min: 0, max: 200_000 }), (payloads, large) => {
        const all = [...payloads, [new Uint8Array(large).fill(7)]];
        writeFileSync(path, framesOf(all));
        const fd = openSync(path, "r");
        const frames = new BlockingFrames(fd);
        const got: Buffer[][] = [];
        for (let frame = frames.read(); frame !== undefined; frame = frames.read()) {
          assert.equal(frame.payload.byteOffset % 8, 0);
          got.push(tensorsIn(frame));
        }
        closeSync(fd);

        assert.deepEqual(got, want(all));
      }),
      { numRuns: 50 },
    );
  });

  it("take a tensor in several parts", () => {
    const parts = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)];
    let got: Buffer[] = [];
    new FrameReader((frame) => (got = tensorsIn(frame))).push(Buffer.concat(encodeFrame(1, headersOf([Uint8Array.of(1, 2, 3, 4, 5)]), [parts])));

    assert.deepEqual(got, [Buffer.from([1, 2, 3, 4, 5])]);
  });
});

describe("engine process", () => {
  const directory = tempDir();
  const file = (name: string, bytes: Uint8Array): string => {
    const path = join(directory.path, name);
    writeFileSync(path, bytes);
    return path;
  };
  after(() => directory[Symbol.dispose]());

  describe("of a small model", () => {
    let engine: Engine;
    const inputs = (a: number, b: number): NamedTensor[] => [
      { name: "INPUT0", ...tensorOf("INT32", [1, 16], Array<number>(16).fill(a)) },
      { name: "INPUT1", ...tensorOf("INT32", [1, 16], Array<number>(16).fill(b)) },
    ];
    const sum = async (a: number, b: number): Promise<unknown> => {
      const { outputs } = await engine.run(inputs(a, b), ["OUTPUT0"]);
      return elementsOf(outputs[0] as NamedTensor)[0];
    };
    before(async () => {
      process.env["SERVABLE_INTERNAL_TOKEN"] = "for this test";
      engine = await startEngineProcess({ path: file("simple.onnx", addSubModel()), model: "simple" });
    });
    after(() => engine[Symbol.asyncDispose]());

    it("answers many calls at once, each its own", async () => {
      const sums = await Promise.all(Array.from({ length: 100 }, (_, index) => sum(index, index)));

      assert.deepEqual(sums, Array.from({ length: 100 }, (_, index) => 2 * index));
    });

    it("answers all outputs when none is named, with timings", async () => {
      const { outputs, timings } = await engine.run(inputs(5, 3), []);

      assert.deepEqual(outputs.map(({ name, shape }) => [name, [...shape]]), [["OUTPUT0", [1, 16]], ["OUTPUT1", [1, 16]]]);
      assert.ok(timings.inferNs > 0);
    });

    it("says in onnxruntime's words why a run failed, and goes on", async () => {
      await assert.rejects(engine.run([inputs(1, 2)[0] as NamedTensor], []), reason("INFERENCE_FAILED"));
      assert.equal(await sum(1, 2), 3);
    });

    it("ends a call at its deadline and at cancellation", async () => {
      await assert.rejects(engine.run(inputs(1, 2), [], { deadline: new Date(Date.now() - 1) }), reason("DEADLINE_EXCEEDED"));
      await assert.rejects(engine.run(inputs(1, 2), [], { signal: AbortSignal.abort() }), reason("CANCELLED"));
    });

    it("knows no secret of its service", { skip: process.platform !== "linux" && "needs /proc" }, () => {
      const environment = readFileSync(`/proc/${engine.pid}/environ`, "utf8");

      assert.match(environment, /NODE_ENV=production/);
      assert.doesNotMatch(environment, /SERVABLE_INTERNAL_TOKEN/);
    });

    it("fails the calls of a process that dies and comes back", async () => {
      const { pid } = engine;
      const call = sum(1, 2).catch((error: unknown) => error);
      process.kill(pid ?? 0, "SIGKILL");
      const ended = await call;
      assert.ok(ended === 3 || reason("ENGINE_CRASHED")(ended));

      await until(() => engine.restartCount === 1);
      for (;;) {
        const answer = await sum(2, 2).catch(() => undefined);
        if (answer === 4) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.notEqual(engine.pid, pid);
    });
  });

  for (const datatype of ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"] as Datatype[]) {
    it(`passes ${datatype} through unchanged`, async () => {
      await using engine = await startEngineProcess({ path: file(`${datatype}.onnx`, identityModel(datatype)), model: datatype });
      const tensor = tensorOf(datatype, [1, 2], datatype === "BOOL" ? [true, false] : datatype.includes("INT64") ? [2n ** 60n, 3n] : [1, 0]);

      const { outputs } = await engine.run([{ name: "INPUT0", ...tensor }], []);

      assert.deepEqual(Buffer.from(outputs[0]?.data ?? []), Buffer.from(tensor.data));
    });
  }

  it("passes BYTES through unchanged, text with NUL and bytes that are no text", async () => {
    await using engine = await startEngineProcess({ path: file("bytes.onnx", identityModel("BYTES")), model: "bytes" });
    const elements = [Buffer.from("é\0x"), Buffer.from([0xff, 0xfe, 0x41, 0x80]), Buffer.alloc(0)];

    const { outputs } = await engine.run([{ name: "INPUT0", datatype: "BYTES", shape: [1, 3], data: encodeBytesElements(elements) }], []);

    assert.deepEqual(decodeBytesElements(outputs[0]?.data ?? new Uint8Array(), 3).map((each) => Buffer.from(each)), elements);
  });

  it("refuses a file that onnxruntime cannot load", async () => {
    await assert.rejects(startEngineProcess({ path: file("bad.onnx", Buffer.from("no model")), model: "bad" }), reason("MODEL_LOAD_FAILED"));
  });

  it("fails a run that wants more memory than its engine may have, or answers more than is taken, and goes on", { skip: spawnSync("prlimit", ["--version"]).status !== 0 && "needs prlimit" }, async () => {
    const graph = new Graph();
    const zeros = graph.node("ConstantOfShape", [graph.input("SIZE", "INT64", [1])], { datatype: "FP32", shape: ["n"] });
    const path = join(directory.path, "zeros.onnx");
    writeFileSync(path, buildModel({ graph, outputs: { ZEROS: zeros } }));
    await using engine = await startEngineProcess({ path, model: "zeros", memoryBytesMax: 512 * 1024 ** 2, outputBytesMax: 1024 ** 2 });
    const zerosOf = (count: number) => engine.run([{ name: "SIZE", ...tensorOf("INT64", [1], [count]) }], []);
    const { pid } = engine;

    await assert.rejects(zerosOf(2 ** 30), reason("ENGINE_OUT_OF_MEMORY"));
    await assert.rejects(zerosOf(2 ** 20), reason("ENGINE_OUT_OF_MEMORY"));
    const { outputs } = await zerosOf(3);

    assert.deepEqual(outputs[0]?.shape, [3]);
    assert.equal(engine.pid, pid);
  });

  it("kills a run that takes too long, and only that model", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [1]);
    // 2^30 elements through Expand and ReduceSum: far more than the 50 ms that the run gets.
    const big = graph.node("Expand", [x, graph.constant("INT64", [1], [2n ** 29n])], { datatype: "FP32", shape: [2 ** 29] });
    const slow = buildModel({ graph, outputs: { y: identity(graph, graph.node("ReduceSum", [graph.node("Exp", [big], { datatype: "FP32", shape: [2 ** 29] })], { datatype: "FP32", shape: [1] })) } });
    await using engine = await startEngineProcess({ path: file("slow.onnx", slow), model: "slow", runMsMax: 50 });

    await assert.rejects(engine.run([{ name: "x", ...tensorOf("FP32", [1], [1]) }], []), reason("ENGINE_TIMEOUT"));
  });
});
