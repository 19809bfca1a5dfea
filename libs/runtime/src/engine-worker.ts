// The engine process: one model, one session, one loop of read, run, write. A run blocks this thread and cannot be
// interrupted, which is why it is a process of its own. It speaks frames over file descriptor 3 and ends when the other side
// does. It is kept small (no telemetry, no event loop to speak of): there are as many as there are model instances.

import { StatusError } from "@servable/errors";
import ort from "onnxruntime-node";
import { BlockingFrames } from "./blocking-frames.ts";
import type { EngineRequest, EngineResponse, SessionSettings } from "./engine-protocol.ts";
import { encodeFrame, tensorsOf, type Frame } from "./frame.ts";
import { fromOrt, toOrt } from "./ort-tensor.ts";

const frames = new BlockingFrames(3);
let session: ort.InferenceSession | undefined;
let settings: SessionSettings | undefined;

try {
  for (let frame = frames.read(); frame !== undefined; frame = frames.read()) await answer(frame);
} catch (error) {
  // The service is gone: nobody is left to tell.
  if (!isPipeError(error)) throw error;
}

async function answer({ id, header, payload }: Frame): Promise<void> {
  const request = header as EngineRequest;
  try {
    if (request.op === "load") {
      settings = request.session;
      session = await load(settings);
      write(id, { ok: true });
    } else {
      await run(id, request, payload);
    }
  } catch (error) {
    if (isPipeError(error)) throw error;
    const { reason, message } = error instanceof StatusError ? error : new StatusError("INTERNAL", error instanceof Error ? error.message : String(error));
    write(id, { ok: false, reason, message });
    if (reason === "ENGINE_OUT_OF_MEMORY") await loadAgain();
  }
}

/** onnxruntime's arena remembers how much was asked for and takes all there is at the next run: only a new session forgets. */
async function loadAgain(): Promise<void> {
  if (settings === undefined) return;
  await session?.release();
  session = await load(settings);
}

async function load({ path, intraOpThreads, interOpThreads, executionProviders, graphOptimizationLevel, prepacking, memoryArena }: SessionSettings): Promise<ort.InferenceSession> {
  const built = new Set(ort.listSupportedBackends().map(({ name }) => name));
  const missing = executionProviders.find((provider) => !built.has(provider));
  if (missing !== undefined) throw new StatusError("MODEL_LOAD_FAILED", `failed to load: this build of onnxruntime has no execution provider "${missing}", only ${[...built].join(", ")}`);
  try {
    return await ort.InferenceSession.create(path, {
      executionProviders: [...executionProviders],
      intraOpNumThreads: intraOpThreads,
      interOpNumThreads: interOpThreads,
      executionMode: interOpThreads > 1 ? "parallel" : "sequential",
      graphOptimizationLevel,
      enableCpuMemArena: memoryArena,
      logSeverityLevel: 3,
      extra: {
        session: {
          // Threads that spin between runs take the cores from the service that feeds them.
          intra_op: { allow_spinning: "0" },
          disable_prepacking: prepacking ? "0" : "1",
        },
      },
    });
  } catch (error) {
    throw new StatusError("MODEL_LOAD_FAILED", `failed to load: ${(error as Error).message.replaceAll(path, "the model").slice(0, 500)}`);
  }
}

async function run(id: number, { inputs, outputs: wanted, deadlineMs }: EngineRequest & { op: "run" }, payload: Uint8Array): Promise<void> {
  const loaded = session;
  if (loaded === undefined) throw new StatusError("MODEL_NOT_READY", "the engine has no model yet");
  if (deadlineMs !== undefined && Date.now() > deadlineMs) throw new StatusError("DEADLINE_EXCEEDED", "the deadline passed while the request waited for the engine");
  const started = performance.now();
  const feeds: Record<string, ort.Tensor> = {};
  for (const tensor of tensorsOf(inputs, payload)) feeds[tensor.name] = toOrt(tensor);
  const fed = performance.now();
  const results = await infer(loaded, feeds, wanted);
  const inferred = performance.now();
  const outputs = (wanted.length > 0 ? wanted : loaded.outputNames).map((name) => fromOrt(name, results[name] as ort.Tensor));
  const headers = outputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, bytes: data.length }));
  const { outputBytesMax } = settings as SessionSettings;
  const outputBytes = headers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (outputBytes > outputBytesMax) throw new StatusError("ENGINE_OUT_OF_MEMORY", `the outputs have ${outputBytes} bytes, at most ${outputBytesMax} are taken from one run: ask for fewer outputs or send a smaller input`);
  const done = performance.now();
  write(id, { ok: true, outputs: headers, ns: [nanoseconds(fed - started), nanoseconds(inferred - fed), nanoseconds(done - inferred)] }, outputs.map(({ data }) => data));
}

async function infer(loaded: ort.InferenceSession, feeds: Record<string, ort.Tensor>, outputs: readonly string[]): Promise<ort.InferenceSession.OnnxValueMapType> {
  try {
    return outputs.length === 0 ? await loaded.run(feeds) : await loaded.run(feeds, [...outputs]);
  } catch (error) {
    const message = (error as Error).message.slice(0, 500);
    if (/Failed to allocate memory|bad_alloc/.test(message)) throw new StatusError("ENGINE_OUT_OF_MEMORY", `the run needs more memory than an engine may have: send a smaller input (onnxruntime: ${message})`);
    throw new StatusError("INFERENCE_FAILED", `onnxruntime: ${message}`);
  }
}

function write(id: number, response: EngineResponse, payload: readonly Uint8Array[] = []): void {
  frames.write(encodeFrame(id, response, payload));
}

function isPipeError(error: unknown): boolean {
  return ["EPIPE", "ECONNRESET"].includes((error as NodeJS.ErrnoException).code ?? "");
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1_000_000);
}
