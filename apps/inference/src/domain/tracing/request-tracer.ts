import type { InferObservation } from "../requests/infer-stats.ts";
import type { LoadedModel } from "../repository/loaded-model.ts";
import { TraceFiles } from "./trace-file.ts";
import type { TraceSettings } from "./trace-settings.ts";

/** Follows the trace settings for each request that has ended. */
export class RequestTracer {
  readonly #settings: TraceSettings;
  readonly #files: TraceFiles;

  /** @param onError told once per file that cannot be written */
  constructor(settings: TraceSettings, onError: (error: unknown) => void) {
    this.#settings = settings;
    this.#files = new TraceFiles(onError);
  }

  /** Writes the trace of a request where it is its turn; answers whether spans of its stages are wanted. */
  observe({ spec }: LoadedModel, observation: InferObservation): boolean {
    const decision = this.#settings.decide(spec.deployment);
    // What is asked for all models was decided where the trace began.
    if (decision === undefined) return !this.#settings.isOwn(spec.deployment);
    if (!observation.ok || decision.file === "") return true;
    const { request, result, timings, totalNs } = observation;
    const endNs = process.hrtime.bigint();
    this.#files.append(decision.file, {
      model: spec.name,
      version: spec.version,
      requestId: request?.id ?? "",
      startNs: endNs - BigInt(Math.round(totalNs)),
      endNs,
      timings,
      ...(decision.tensors && request !== undefined && result !== undefined && { inputs: request.inputs, outputs: result.outputs }),
    });
    return true;
  }
}
