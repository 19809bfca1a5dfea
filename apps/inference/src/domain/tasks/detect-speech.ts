import { StatusError } from "@servable/errors";
import { openWav, resampled, type SpeechSection } from "@servable/preprocessing";
import type { NamedTensor } from "@servable/runtime";
import type { Tensor } from "@servable/tensor";
import type { InferContext } from "../executors/executor.ts";
import type { TensorSpec } from "../config/signature.ts";
import { numbersOf, pickTensor, runModel } from "./run-model.ts";
import { speechSegments } from "./speech-segments.ts";
import { taskFilesOf } from "./task-files.ts";
import type { TaskModel } from "./task-model.ts";

/** Where somebody speaks. */
export interface Speech {
  readonly segments: readonly { readonly startMs: number; readonly endMs: number; readonly probability: number }[];
  readonly audioMs: number;
}

const AUDIO_SECONDS_MAX = 3_600;

/**
 * Finds speech in a WAV file: the model hears window after window, each with the end of the one before, and its state goes
 * on from each to the next.
 *
 * @throws StatusError `TASK_NOT_DECLARED`, `AUDIO_INVALID`, `FIELD_INVALID` and what the model raises
 */
export async function detectSpeech(model: TaskModel, file: Uint8Array, threshold: number | undefined, context: InferContext): Promise<Speech> {
  const { speech } = (await taskFilesOf(model, "speech-detection")).manifest;
  if (speech === undefined) throw new TypeError("a manifest of speech-detection has the section");
  if (threshold !== undefined && !(threshold >= 0 && threshold <= 1)) throw new StatusError("FIELD_INVALID", `threshold is ${threshold}: it must be from 0 to 1`, { metadata: { field: "threshold" } });
  const audio = openWav(file);
  const seconds = audio.frameCount / audio.sampleRate;
  if (seconds > AUDIO_SECONDS_MAX) throw new StatusError("AUDIO_INVALID", `the audio is ${Math.round(seconds)} s long, at most ${AUDIO_SECONDS_MAX} are taken: send it in parts`);
  const samples = resampled(audio, speech.sampleRate);
  const run = windowRunner(model, speech, context);
  const probabilities: number[] = [];
  for (let at = 0; at < samples.count; at += speech.windowSamples) {
    context.signal.throwIfAborted();
    const window = new Float32Array(speech.contextSamples + speech.windowSamples);
    samples.read(at - speech.contextSamples, window);
    probabilities.push(await run(window));
  }
  const perMs = speech.sampleRate / 1_000;
  const found = speechSegments(probabilities, samples.count, {
    windowSamples: speech.windowSamples,
    threshold: threshold ?? speech.threshold,
    minSpeechSamples: speech.minSpeechMs * perMs,
    minSilenceSamples: speech.minSilenceMs * perMs,
    padSamples: speech.padMs * perMs,
  });
  const segments = found.map(({ start, end }) => {
    const windows = probabilities.slice(Math.floor(start / speech.windowSamples), Math.ceil(end / speech.windowSamples));
    return { startMs: Math.round(start / perMs), endMs: Math.round(end / perMs), probability: windows.reduce((sum, probability) => sum + probability, 0) / windows.length };
  });
  return { segments, audioMs: Math.round(seconds * 1_000) };
}

/** Runs windows one after the other; answers each one's probability. */
function windowRunner(model: TaskModel, speech: SpeechSection, context: InferContext): (window: Float32Array<ArrayBuffer>) => Promise<number> {
  const audio = pickTensor(model, "inputs", speech.inputs.audio, "speech.inputs.audio");
  const stateInput = pickTensor(model, "inputs", speech.inputs.state, "speech.inputs.state");
  const rate = model.signature.inputs.find(({ name }) => name === speech.inputs.rate);
  const probability = pickTensor(model, "outputs", speech.outputs.probability, "speech.outputs.probability");
  const stateOutput = pickTensor(model, "outputs", speech.outputs.state, "speech.outputs.state");
  const samples = speech.contextSamples + speech.windowSamples;
  const fixed = audio.shape.at(-1) ?? -1;
  if (fixed > 0 && fixed !== samples) throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: speech.window_samples and context_samples are ${samples} together, but the input "${audio.name}" takes ${fixed}`, { metadata: { field: "speech.window_samples" } });
  let state: Tensor = silentState(stateInput);
  const rateTensor: NamedTensor[] = rate === undefined ? [] : [{ name: rate.name, datatype: "INT64", shape: rate.shape.map(() => 1), data: new Uint8Array(BigInt64Array.of(BigInt(speech.sampleRate)).buffer) }];
  return async (window) => {
    const inputs: NamedTensor[] = [{ name: audio.name, datatype: "FP32", shape: [1, samples], data: new Uint8Array(window.buffer) }, { name: stateInput.name, ...state }, ...rateTensor];
    const outputs = await runModel(model, inputs, [probability.name, stateOutput.name], 1, context);
    const next = outputs.get(stateOutput.name);
    if (next === undefined) throw new StatusError("INTERNAL", `the model answered no "${stateOutput.name}"`);
    state = { datatype: next.datatype, shape: next.shape, data: next.data };
    return numbersOf(outputs, probability.name).values[0] ?? 0;
  };
}

/** The state before anything was heard: zeros. */
function silentState({ shape, datatype }: TensorSpec): Tensor {
  if (datatype !== "FP32") throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: speech.inputs.state is ${datatype}, it must be FP32`, { metadata: { field: "speech.inputs.state" } });
  const sizes = shape.map((size) => (size > 0 ? size : 1));
  return { datatype, shape: sizes, data: new Uint8Array(sizes.reduce((product, size) => product * size, 1) * Float32Array.BYTES_PER_ELEMENT) };
}
