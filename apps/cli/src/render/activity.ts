import type { LoadedModel, ReplicaStatus } from "@servable/contracts/inference/v1/replica";
import { formatBytes, renderTable } from "./table.ts";

/** What all replicas said at one moment. */
export interface StatusSample {
  readonly atMs: number;
  readonly replicas: readonly ReplicaStatus[];
  /** Addresses of those that did not answer. */
  readonly unreachable: readonly string[];
}

/** One replica over an interval. */
export interface ReplicaActivity {
  readonly replica: string;
  readonly upSeconds: number;
  readonly state: "serving" | "draining" | "no registry";
  readonly readyCount: number;
  readonly modelCount: number;
  readonly requestsPerSecond: number;
  readonly inFlight: number;
  readonly memoryUsedBytes: number;
  /** 0 = not limited. */
  readonly memoryBudgetBytes: number;
  readonly residentBytes: number;
  readonly loads: number;
  readonly evictions: number;
  /** Loads that wait for memory, and runs that wait for the rate limiter. */
  readonly waiting: number;
}

/** One version in one replica over an interval. */
export interface ModelActivity {
  readonly project: string;
  readonly model: string;
  readonly version: number;
  readonly replica: string;
  readonly state: string;
  readonly message: string;
  readonly requestsPerSecond: number;
  readonly failuresPerSecond: number;
  /** Failures since the model was assigned. */
  readonly failures: number;
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
  readonly inFlight: number;
  readonly queueLength: number;
  /** Mean elements of a batch in the interval; undefined when none ran. */
  readonly batchSize: number | undefined;
  readonly memoryBytes: number;
  readonly pinned: boolean;
  readonly pids: readonly number[];
  readonly restarts: number;
}

/** What happened between two samples. */
export interface Activity {
  readonly seconds: number;
  readonly replicas: readonly ReplicaActivity[];
  /** The busiest first. */
  readonly models: readonly ModelActivity[];
  readonly unreachable: readonly string[];
}

/** The difference of two samples. A replica or model that started anew in between counts from zero. */
export function activityBetween(before: StatusSample, after: StatusSample): Activity {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1_000);
  const earlier = new Map(before.replicas.flatMap((replica) => replica.models.map((model) => [keyOf(replica, model), model])));
  const models = after.replicas.flatMap((replica) => replica.models.map((model) => modelActivity(replica.replicaId, model, earlier.get(keyOf(replica, model)), seconds)));
  const busiest = (a: ModelActivity, b: ModelActivity): number => b.requestsPerSecond - a.requestsPerSecond || (a.model < b.model ? -1 : a.model > b.model ? 1 : a.version - b.version || (a.replica < b.replica ? -1 : 1));
  return {
    seconds,
    replicas: after.replicas.map((replica) => replicaActivity(replica, models.filter((model) => model.replica === replica.replicaId), after.atMs)),
    models: models.sort(busiest),
    unreachable: after.unreachable,
  };
}

/** Two tables; lines are cut at `columns`. */
export function renderActivity({ replicas, models, unreachable, seconds }: Activity, columns = Number.POSITIVE_INFINITY): string {
  const rate = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
  const milliseconds = (value: number | undefined): string => (value === undefined ? "–" : value.toFixed(value < 10 ? 2 : 0));
  const replicaTable = renderTable(
    ["replica", "state", "up", "req/s", "in flight", "models ready", "memory of models", "own memory", "loads", "evicted", "waiting"],
    replicas.map((each) => [
      each.replica, each.state, duration(each.upSeconds), rate(each.requestsPerSecond), each.inFlight, `${each.readyCount} of ${each.modelCount}`,
      `${formatBytes(each.memoryUsedBytes)} of ${each.memoryBudgetBytes === 0 ? "any" : formatBytes(each.memoryBudgetBytes)}`, formatBytes(each.residentBytes), each.loads, each.evictions, each.waiting,
    ]),
  );
  const modelTable = renderTable(
    ["model", "version", "replica", "state", "req/s", "p50 ms", "p99 ms", "in flight", "queue", "batch", "failed", "memory", "restarts", "engine pids"],
    models.map((each) => [
      each.project === "default" ? each.model : `${each.project}/${each.model}`, each.version, each.replica, each.pinned ? `${each.state} pinned` : each.state, rate(each.requestsPerSecond),
      milliseconds(each.p50Ms), milliseconds(each.p99Ms), each.inFlight, each.queueLength, each.batchSize === undefined ? "–" : each.batchSize.toFixed(1), each.failures,
      formatBytes(each.memoryBytes), each.restarts, each.pids.join(" "),
    ]),
  );
  const total = replicas.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0);
  const head = `${replicas.length} ${replicas.length === 1 ? "replica" : "replicas"} · ${models.length} model versions · ${rate(total)} requests/s over ${seconds.toFixed(1)} s${unreachable.length === 0 ? "" : ` · no answer from ${unreachable.join(", ")}`}`;
  const troubles = models.filter(({ message }) => message !== "").map(({ model, version, replica, message }) => `${model} version ${version} on ${replica}: ${message}`);
  return [head, "", replicaTable, "", models.length === 0 ? "nothing is deployed: servable deploy MODEL" : modelTable, ...(troubles.length === 0 ? [] : ["", ...troubles])]
    .join("\n")
    .split("\n")
    .map((line) => (line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line))
    .join("\n");
}

function modelActivity(replica: string, now: LoadedModel, before: LoadedModel | undefined, seconds: number): ModelActivity {
  const [, project = "", , model = ""] = now.deployment.split("/");
  const grown = (read: (each: LoadedModel) => bigint): number => {
    const [from, to] = [before === undefined ? 0n : read(before), read(now)];
    return Number(to >= from ? to - from : to);
  };
  const executions = grown((each) => each.executionCount);
  const failures = grown((each) => each.failureCount);
  const known = (microseconds: bigint): number | undefined => (microseconds === 0n ? undefined : Number(microseconds) / 1_000);
  return {
    project,
    model,
    version: Number(now.version),
    replica,
    state: now.state,
    message: now.message,
    requestsPerSecond: (grown((each) => each.successCount) + failures) / seconds,
    failuresPerSecond: failures / seconds,
    failures: Number(now.failureCount),
    p50Ms: known(now.latencyUsP50),
    p99Ms: known(now.latencyUsP99),
    inFlight: now.inFlightCount,
    queueLength: now.queueLength,
    batchSize: executions === 0 ? undefined : grown((each) => each.inferenceCount) / executions,
    memoryBytes: Number(now.memoryBytes),
    pinned: now.pinned,
    pids: now.enginePids,
    restarts: now.engineRestartCount,
  };
}

function replicaActivity(replica: ReplicaStatus, models: readonly ModelActivity[], nowMs: number): ReplicaActivity {
  return {
    replica: replica.replicaId,
    upSeconds: Math.max(0, nowMs / 1_000 - Number(replica.startTime?.seconds ?? 0n)),
    state: replica.draining ? "draining" : replica.registryConnected ? "serving" : "no registry",
    readyCount: models.filter(({ state }) => state === "READY").length,
    modelCount: models.length,
    requestsPerSecond: models.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0),
    inFlight: replica.inFlightCount,
    memoryUsedBytes: Number(replica.memoryUsedBytes),
    memoryBudgetBytes: Number(replica.memoryBudgetBytes),
    residentBytes: Number(replica.residentMemoryBytes),
    loads: Number(replica.loadCount),
    evictions: Number(replica.evictionCount),
    waiting: replica.memoryWaitingCount + replica.rateLimitWaitingCount,
  };
}

function keyOf({ replicaId }: ReplicaStatus, { deployment, version }: LoadedModel): string {
  return `${replicaId} ${deployment} ${version}`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`;
}
