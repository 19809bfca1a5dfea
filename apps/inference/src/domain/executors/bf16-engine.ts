// onnxruntime-node has no BF16 tensors. Models that take or give them run with FP32 at their edges: the values are the same,
// bit for bit, and callers send and get BF16.

import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { fp32Name, readModel, withFp32Interface } from "@servable/onnx";
import type { Engine, EngineInput, EngineProcessOptions, NamedTensor } from "@servable/runtime";
import type { Signature } from "../config/signature.ts";

/** Whether a model takes or gives BF16. */
export function usesBf16({ inputs, outputs }: Signature): boolean {
  return [...inputs, ...outputs].some(({ datatype }) => datatype === "BF16");
}

/** Starts engines on a copy of the model with FP32 at its edges, which is written beside it. */
export function bf16Engines(startEngine: (options: EngineProcessOptions) => Promise<Engine>, { outputs }: Signature): (options: EngineProcessOptions) => Promise<Engine> {
  const widened = new Set(outputs.filter(({ datatype }) => datatype === "BF16").map(({ name }) => name));
  return async (options) => {
    const path = await fp32Copy(options.path);
    return bf16Engine(await startEngine({ ...options, path }), outputs.map(({ name }) => name), widened);
  };
}

/** Beside the model, since weights in files of their own are named relative to it. */
async function fp32Copy(path: string): Promise<string> {
  const target = `${path}.fp32-io.onnx`;
  const unfinished = `${target}.${randomUUID()}`;
  await writeFile(unfinished, withFp32Interface(readModel(await readFile(path))));
  await rename(unfinished, target);
  return target;
}

function bf16Engine(engine: Engine, all: readonly string[], widened: ReadonlySet<string>): Engine {
  return {
    async run(inputs, outputs, options) {
      const wanted = (outputs.length === 0 ? all : outputs).map((name) => (widened.has(name) ? fp32Name(name) : name));
      const result = await engine.run(inputs.map(widenInput), wanted, options);
      return { ...result, outputs: result.outputs.map((output, index) => narrowOutput(output, (outputs.length === 0 ? all : outputs)[index] ?? output.name)) };
    },
    get isUp() {
      return engine.isUp;
    },
    get pid() {
      return engine.pid;
    },
    get restartCount() {
      return engine.restartCount;
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  };
}

function widenInput(input: EngineInput): EngineInput {
  if (input.datatype !== "BF16") return input;
  const data = input.data instanceof Uint8Array ? widen(input.data) : input.data.map(widen);
  return { name: fp32Name(input.name), datatype: "FP32", shape: input.shape, data };
}

function narrowOutput(output: NamedTensor, name: string): NamedTensor {
  if (output.name === name) return output;
  const bits = Uint16Array.from(new Uint32Array(aligned(output.data, 4).buffer), (word) => word >>> 16);
  return { name, datatype: "BF16", shape: output.shape, data: new Uint8Array(bits.buffer) };
}

/** BF16 is the upper half of FP32. */
function widen(data: Uint8Array): Uint8Array {
  const halves = new Uint16Array(aligned(data, 2).buffer);
  return new Uint8Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** A copy in memory of its own, cut to whole elements. */
function aligned(data: Uint8Array, elementBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.subarray(0, data.length - (data.length % elementBytes)));
}
