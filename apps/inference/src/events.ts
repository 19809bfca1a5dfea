import { metrics, trace, type Attributes, type ObservableResult } from "@opentelemetry/api";
import type { EndedCall } from "@servable/grpc";
import { once } from "@servable/telemetry";
import type { InferTimings } from "./domain/executors/executor.ts";
import type { InferObservation, InferStats } from "./domain/requests/infer-stats.ts";
import type { MemoryBudget } from "./domain/repository/memory-budget.ts";
import type { LoadedModel } from "./domain/repository/loaded-model.ts";

// Triton's names, so that dashboards move over unchanged. Labels have few values: models and versions, never ids.
// Counters are read from the models' own statistics when somebody asks; only histograms cost something at each request.
// Made at first use: an instrument of before the set-up of telemetry counts into nothing.

/** Microseconds: a tenth of a millisecond to ten seconds. */
const DURATION_BUCKETS_US = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

const histograms = once(() => {
  const meter = metrics.getMeter("inference");
  const histogram = (name: string, description: string) => meter.createHistogram(name, { unit: "us", description, advice: { explicitBucketBoundaries: DURATION_BUCKETS_US } });
  return {
    calls: meter.createHistogram("rpc_server_duration_ms", { unit: "ms", description: "Duration of served calls." }),
    request: histogram("nv_inference_request_duration_histogram_us", "From arrival to answer."),
    queue: histogram("nv_inference_queue_duration_histogram_us", "From arrival until the batch was formed."),
    input: histogram("nv_inference_compute_input_duration_histogram_us", "Forming batches and bringing them into the engine."),
    infer: histogram("nv_inference_compute_infer_duration_histogram_us", "Runs of the graph."),
    output: histogram("nv_inference_compute_output_duration_histogram_us", "Bringing outputs back."),
    crashes: meter.createCounter("servable_engine_crashes", { description: "Engine processes that ended by themselves." }),
    imageCrashes: meter.createCounter("servable_image_decoder_crashes", { description: "Processes that ended while they decoded a picture." }),
  };
});

/** One served call. */
export function recordCall({ method, code, durationMs }: EndedCall): void {
  histograms().calls.record(durationMs, { method, code });
}

/** One inference request that has ended: histograms, and spans of its stages where the request is traced and they are wanted. */
export function recordInference({ spec }: LoadedModel, observation: InferObservation, wantsSpans: boolean): void {
  const { request, queue, input, infer, output } = histograms();
  const labels = labelsOf(spec);
  request.record(observation.totalNs / 1_000, labels);
  if (!observation.ok) return;
  const { timings } = observation;
  queue.record(timings.queueNs / 1_000, labels);
  if (timings.countsExecution) {
    input.record(timings.inputNs / 1_000, labels);
    infer.record(timings.inferNs / 1_000, labels);
    output.record(timings.outputNs / 1_000, labels);
  }
  if (wantsSpans && trace.getActiveSpan()?.isRecording() === true) recordStages(spec.name, timings);
}

/** One engine process that died. */
export function recordEngineCrash(model: string): void {
  histograms().crashes.add(1, { model });
}

/** Offers the counters of the models that are loaded when metrics are read. */
export function observeModels(models: () => readonly LoadedModel[]): void {
  const meter = metrics.getMeter("inference");
  const observe = (kind: "counter" | "gauge", name: string, description: string, read: (model: LoadedModel) => number): void => {
    const instrument = kind === "counter" ? meter.createObservableCounter(name, { description }) : meter.createObservableGauge(name, { description });
    instrument.addCallback((result) => {
      for (const model of models()) result.observe(read(model), labelsOf(model.spec));
    });
  };
  const counter = (name: string, description: string, read: (stats: InferStats) => number): void => observe("counter", name, description, ({ stats }) => read(stats));
  counter("nv_inference_request_success", "Requests answered with OK.", ({ success }) => success.count);
  counter("nv_inference_count", "Elements inferred: a request with a batch of n counts n.", ({ inferenceCount }) => inferenceCount);
  counter("nv_inference_exec_count", "Runs of the graph: requests that shared a batch count once.", ({ executionCount }) => executionCount);
  counter("nv_inference_request_duration_us", "Microseconds of all requests.", ({ success, fail }) => (success.ns + fail.ns) / 1_000);
  counter("nv_inference_queue_duration_us", "Microseconds that requests waited.", ({ queue }) => queue.ns / 1_000);
  counter("nv_inference_compute_input_duration_us", "Microseconds of forming batches.", ({ computeInput }) => computeInput.ns / 1_000);
  counter("nv_inference_compute_infer_duration_us", "Microseconds of runs, as requests saw them.", ({ computeInfer }) => computeInfer.ns / 1_000);
  counter("nv_inference_compute_output_duration_us", "Microseconds of bringing outputs back.", ({ computeOutput }) => computeOutput.ns / 1_000);
  observe("gauge", "nv_inference_pending_request_count", "Requests that wait for a batch.", ({ executor }) => executor?.queueLength ?? 0);
  meter.createObservableCounter("nv_inference_request_failure", { description: "Requests answered with an error, by reason." }).addCallback((result) => {
    for (const { spec, stats } of models()) observeFailures(result, labelsOf(spec), stats);
  });
}

/** Offers what models share of memory when metrics are read. */
export function observeMemory(budget: Pick<MemoryBudget, "budgetBytes" | "usedBytes" | "waitingCount" | "loadCount" | "evictionCount">, models: () => readonly LoadedModel[]): void {
  const meter = metrics.getMeter("inference");
  meter.createObservableGauge("servable_memory_budget_bytes", { description: "Bytes that models may take together; 0 = not limited." }).addCallback((result) => result.observe(budget.budgetBytes));
  meter.createObservableGauge("servable_memory_used_bytes", { description: "Bytes that models take, loads in progress included." }).addCallback((result) => result.observe(budget.usedBytes));
  meter.createObservableGauge("servable_memory_waiting_loads", { description: "Loads that wait for memory." }).addCallback((result) => result.observe(budget.waitingCount));
  meter.createObservableCounter("servable_model_loads", { description: "Models brought into memory." }).addCallback((result) => result.observe(budget.loadCount));
  meter.createObservableCounter("servable_model_evictions", { description: "Models sent away so that others could come." }).addCallback((result) => result.observe(budget.evictionCount));
  meter.createObservableGauge("servable_model_memory_bytes", { description: "Bytes that a model takes in memory; 0 while it is not there." }).addCallback((result) => {
    for (const { spec, state, footprintBytes } of models()) result.observe(state === "READY" ? footprintBytes : 0, labelsOf(spec));
  });
}

function observeFailures(result: ObservableResult, labels: Attributes, { failures }: InferStats): void {
  for (const [reason, count] of Object.entries(failures)) result.observe(count, { ...labels, reason });
}

function labelsOf({ name, version }: { readonly name: string; readonly version: number }): Attributes {
  return { model: name, version: String(version) };
}

/** The stages as spans, told from their end backwards: the work itself carries no instruments. */
function recordStages(model: string, { queueNs, inputNs, inferNs, outputNs, executedBatchSize }: InferTimings): void {
  const tracer = trace.getTracer("servable");
  let endMs = performance.timeOrigin + performance.now();
  for (const [name, ns] of [["engine output", outputNs], ["engine run", inferNs], ["batch input", inputNs], ["queue", queueNs]] as const) {
    const startMs = endMs - ns / 1_000_000;
    tracer.startSpan(name, { startTime: startMs, attributes: { "servable.model": model, "servable.batch_size": executedBatchSize } }).end(endMs);
    endMs = startMs;
  }
}

/** One process that ended while it decoded a picture. */
export function recordImageCrash(): void {
  histograms().imageCrashes.add(1);
}
