// What is known of a job's run beside its state: checkpoints, what decides its result, what it may use and what it used.

/** What a job may use before it is ended. */
export interface JobLimits {
  /** All attempts together, milliseconds; undefined = the service's bound. */
  readonly runMs?: number | undefined;
  /** Resident bytes of its process; 0 = the service's bound. */
  readonly memoryBytes: number;
  /** Price; 0 = no limit. */
  readonly cost: number;
  /** Ended at this time, also while it waits. */
  readonly deadlineMs?: number | undefined;
}

/** A stored checkpoint. */
export interface CheckpointRecord {
  readonly step: number;
  readonly epoch: number;
  /** 64 hexadecimal digits: the blob's name. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The attempt that wrote it. */
  readonly attempt: number;
  readonly createTimeMs: number;
  /** What was last measured on the validation rows. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Best so far by the metric of early stopping. */
  readonly best: boolean;
}

/** Everything that decides the result of a run. Digests are "sha256:…"; "" = not known yet. */
export interface RunRecord {
  readonly seed: number;
  readonly threadCount: number;
  readonly datasetDigest: string;
  readonly splitDigest: string;
  readonly graphDigest: string;
  readonly weightsDigest: string;
  /** By name: "servable", "onnxruntime", "node". */
  readonly versions: Readonly<Record<string, string>>;
  /** Architecture and vector extensions. */
  readonly instructionSet: string;
  readonly specificationJson: string;
  readonly baseModelDigest: string;
  readonly trainableParameterCount: number;
  readonly stepCount: number;
}

/** What a job is expected to use. */
export interface CostEstimate {
  readonly stepCount: number;
  readonly secondsPerStep: number;
  readonly runMs: number;
  readonly memoryBytes: number;
  readonly trainableParameterCount: number;
  readonly measuredStepCount: number;
}

/** What processes used; sums over attempts. */
export interface JobUsage {
  readonly runMs: number;
  readonly cpuMs: number;
  readonly peakMemoryBytes: number;
  readonly rowCount: number;
  readonly tokenCount: number;
}

/** Nothing yet. */
export const NO_USAGE: JobUsage = { runMs: 0, cpuMs: 0, peakMemoryBytes: 0, rowCount: 0, tokenCount: 0 };

/** Two usages together. */
export function addUsage(a: JobUsage, b: JobUsage): JobUsage {
  return {
    runMs: a.runMs + b.runMs,
    cpuMs: a.cpuMs + b.cpuMs,
    peakMemoryBytes: Math.max(a.peakMemoryBytes, b.peakMemoryBytes),
    rowCount: a.rowCount + b.rowCount,
    tokenCount: a.tokenCount + b.tokenCount,
  };
}

/** What time costs; 0 an hour = nothing is billed. */
export interface Price {
  readonly perHour: number;
  readonly currency: string;
}

/** Price of a running time. */
export function costOf(runMs: number, price: Price): number {
  return (runMs / 3_600_000) * price.perHour;
}

/** Sentences of a job's log. */
export interface JobMessage {
  readonly severity: "info" | "warning" | "error";
  readonly text: string;
}
