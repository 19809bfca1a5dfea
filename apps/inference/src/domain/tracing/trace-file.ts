// Traces in the form that Triton writes, so that its trace_summary.py reads them.

import { appendFileSync } from "node:fs";
import type { NamedTensor } from "@servable/runtime";
import { elementsOf } from "@servable/tensor";
import type { InferTimings } from "../executors/executor.ts";

/** A file stops to grow here: what comes after is lost. */
const FILE_BYTES_MAX = 256 * 1024 ** 2;
/** Values of a tensor that are written. */
const ELEMENTS_MAX = 1_000;

/** One request that was traced. */
export interface TracedRequest {
  readonly model: string;
  readonly version: number;
  readonly requestId: string;
  /** When it arrived and when its answer was ready, by `process.hrtime`. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly timings: InferTimings;
  /** Inputs and outputs where the level asks for them. */
  readonly inputs?: readonly NamedTensor[];
  readonly outputs?: readonly NamedTensor[];
}

/** Appends traces to files, one JSON document a line inside one list. */
export class TraceFiles {
  readonly #bytes = new Map<string, number>();
  readonly #onError: (error: unknown) => void;
  #lastId = 0;

  /** @param onError told once per file that cannot be written */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Writes one trace; without a file it does nothing. */
  append(file: string, traced: TracedRequest): void {
    const written = this.#bytes.get(file) ?? 0;
    if (file === "" || written > FILE_BYTES_MAX) return;
    this.#lastId += 1;
    const lines = recordsOf(this.#lastId, traced).map((record) => `${JSON.stringify(record)}\n`).join("");
    try {
      appendFileSync(file, lines);
      this.#bytes.set(file, written + lines.length);
    } catch (error) {
      this.#bytes.set(file, Infinity);
      this.#onError(error);
    }
  }
}

function recordsOf(id: number, { model, version, requestId, startNs, endNs, timings, inputs = [], outputs = [] }: TracedRequest): object[] {
  const at = (name: string, ns: bigint): object => ({ name, ns: Number(ns) });
  const computeStart = startNs + BigInt(Math.round(timings.queueNs));
  const inputEnd = computeStart + BigInt(Math.round(timings.inputNs));
  const outputStart = inputEnd + BigInt(Math.round(timings.inferNs));
  const timestamps = [
    at("REQUEST_START", startNs),
    at("QUEUE_START", startNs),
    at("COMPUTE_START", computeStart),
    at("COMPUTE_INPUT_END", inputEnd),
    at("COMPUTE_OUTPUT_START", outputStart),
    at("COMPUTE_END", outputStart + BigInt(Math.round(timings.outputNs))),
    at("REQUEST_END", endNs),
  ];
  const head = { id, model_name: model, model_version: version, request_id: requestId, parent_id: 0 };
  const tensor = (activity: string) => (each: NamedTensor): object => ({ id, activity, tensor: { name: each.name, data: dataOf(each), shape: each.shape.join(","), dtype: each.datatype } });
  return [{ ...head, timestamps }, ...inputs.map(tensor("TENSOR_QUEUE_INPUT")), ...outputs.map(tensor("TENSOR_BACKEND_OUTPUT"))];
}

function dataOf(tensor: NamedTensor): string {
  const elements = elementsOf(tensor, tensor.name);
  const shown = elements.slice(0, ELEMENTS_MAX).map((element) => (element instanceof Uint8Array ? Buffer.from(element).toString() : String(element)));
  return shown.join(",") + (elements.length > ELEMENTS_MAX ? ",…" : "");
}
