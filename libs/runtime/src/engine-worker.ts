// The engine process: one model, one session. A run blocks this thread and cannot be interrupted, which is why it is a
// process of its own. It speaks frames over file descriptor 3 and ends when the other side does.

import { Socket } from "node:net";
import { StatusError } from "@servable/errors";
import { contextOf, startTelemetry, withSpan } from "@servable/telemetry";
import ort from "onnxruntime-node";
import type { NamedTensor } from "./engine.ts";
import { FrameReader, encodeFrame, tensorsOf, type Frame, type TensorHeader } from "./frame.ts";
import { fromOrt, toOrt } from "./ort-tensor.ts";

/** What the service asks. */
export type EngineRequest =
  | { readonly op: "load"; readonly path: string; readonly intraOpThreads: number }
  | { readonly op: "run"; readonly inputs: readonly TensorHeader[]; readonly outputs: readonly string[]; readonly deadlineMs?: number; readonly traceparent?: string; readonly model: string };

/** What the engine answers. */
export type EngineResponse =
  | { readonly ok: true; readonly outputs?: readonly TensorHeader[]; readonly ns?: readonly [input: string, infer: string, output: string] }
  | { readonly ok: false; readonly reason: string; readonly message: string };

await using _telemetry = await startTelemetry({ service: "engine", env: process.env });
const socket = new Socket({ fd: 3 });
let session: ort.InferenceSession | undefined;
let queue: Promise<void> = Promise.resolve();

const reader = new FrameReader((frame) => {
  queue = queue.then(() => answer(frame));
});
socket.on("data", (chunk: Buffer) => reader.push(chunk));
socket.on("error", () => process.exit(0));
await new Promise<void>((resolve) => socket.once("end", resolve));

async function answer({ id, header, payload }: Frame): Promise<void> {
  const request = header as EngineRequest;
  try {
    if (request.op === "load") {
      await load(request);
      write(id, { ok: true });
    } else {
      await run(id, request, payload);
    }
  } catch (error) {
    const { reason, message } = error instanceof StatusError ? error : new StatusError("INTERNAL", error instanceof Error ? error.message : String(error));
    write(id, { ok: false, reason, message });
  }
}

async function load({ path, intraOpThreads }: EngineRequest & { op: "load" }): Promise<void> {
  try {
    session = await ort.InferenceSession.create(path, {
      intraOpNumThreads: intraOpThreads,
      logSeverityLevel: 3,
      // Threads that spin between runs take the cores from the service that feeds them.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
  } catch (error) {
    throw new StatusError("MODEL_LOAD_FAILED", `failed to load: ${(error as Error).message.slice(0, 500)}`);
  }
}

async function run(id: number, request: EngineRequest & { op: "run" }, payload: Uint8Array): Promise<void> {
  const loaded = session;
  if (loaded === undefined) throw new StatusError("MODEL_NOT_READY", "the engine has no model yet");
  if (request.deadlineMs !== undefined && Date.now() > request.deadlineMs) throw new StatusError("DEADLINE_EXCEEDED", "the deadline passed while the request waited for the engine");
  const work = async (): Promise<void> => {
    const started = process.hrtime.bigint();
    const feeds = Object.fromEntries(tensorsOf(request.inputs, payload).map((tensor) => [tensor.name, toOrt(tensor as NamedTensor)]));
    const fed = process.hrtime.bigint();
    const results = await infer(loaded, feeds, request.outputs);
    const inferred = process.hrtime.bigint();
    const outputs = (request.outputs.length > 0 ? request.outputs : loaded.outputNames).map((name) => fromOrt(name, results[name] as ort.Tensor));
    const headers = outputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, bytes: data.length }));
    const done = process.hrtime.bigint();
    write(id, { ok: true, outputs: headers, ns: [String(fed - started), String(inferred - fed), String(done - inferred)] }, outputs.map(({ data }) => data));
  };
  // Without a sampled caller there is nothing to record.
  if (request.traceparent === undefined) return work();
  return withSpan("engine run", { "servable.model": request.model }, work, contextOf(request.traceparent));
}

async function infer(loaded: ort.InferenceSession, feeds: Record<string, ort.Tensor>, outputs: readonly string[]): Promise<ort.InferenceSession.OnnxValueMapType> {
  try {
    return outputs.length === 0 ? await loaded.run(feeds) : await loaded.run(feeds, [...outputs]);
  } catch (error) {
    throw new StatusError("INFERENCE_FAILED", `onnxruntime: ${(error as Error).message.slice(0, 500)}`);
  }
}

function write(id: number, response: EngineResponse, payload: readonly Uint8Array[] = []): void {
  socket.cork();
  for (const part of encodeFrame(id, response, payload)) socket.write(part);
  socket.uncork();
}
