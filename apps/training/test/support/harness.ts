import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Identity } from "@servable/auth";
import { Dataset_Format, type DatasetSchema } from "@servable/contracts/training/v1/dataset";
import { FineTuningService } from "@servable/contracts/training/v1/fine_tuning";
import { TrainingService } from "@servable/contracts/training/v1/training";
import type { TrainingJob, TrainingJobEvent, TrainingSpecSchema } from "@servable/contracts/training/v1/training_job";
import { TrainingJob_State } from "@servable/contracts/training/v1/training_job";
import { StatusError, type Reason } from "@servable/errors";
import { createChannel, createClient, type Client } from "@servable/grpc";
import { tempDir } from "@servable/testing";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DatasetInspector } from "../../src/domain/dataset-inspector.ts";
import { startServer, type TrainingConfig } from "../../src/index.ts";
import type { TrainingOverrides } from "../../src/server.ts";
import { startFakeRegistry, type FakeRegistry } from "./fake-registry.ts";

const TOKEN = "t";
export const developer: Identity = { project: "p", principal: "projects/p/apiKeys/k", role: "developer" };
export const DATASET = "projects/p/datasets/rows";

/** Asserts the reason of a rejection, and optionally words of its message. */
export const reason =
  (want: Reason, words = "") =>
  (error: unknown): true => {
    assert.ok(error instanceof StatusError, String(error));
    assert.equal(error.reason, want, error.message);
    assert.ok(error.message.includes(words), `"${error.message}" should say "${words}"`);
    return true;
  };

/** A training service with its neighbour, and the client of a developer. */
export interface Harness extends AsyncDisposable {
  readonly config: TrainingConfig;
  readonly registry: FakeRegistry;
  /** Client of the running service; another identity on request. */
  client(identity?: Identity): Client<typeof TrainingService>;
  /** Client of the service's fine-tuning. */
  tuning(identity?: Identity): Client<typeof FineTuningService>;
  /** Stops the service as SIGTERM would. */
  stop(): Promise<void>;
  /** Starts it again on the same data. */
  start(): Promise<void>;
  upload(id: string, files: Readonly<Record<string, string>>, options?: { format?: Dataset_Format; sha256?: string; newVersion?: boolean; dataset?: MessageInitShape<typeof DatasetSchema> }): ReturnType<Client<typeof TrainingService>["uploadDataset"]>;
  /** Creates a job on {@link DATASET} with target column "b". */
  create(id: string, spec?: MessageInitShape<typeof TrainingSpecSchema>): Promise<TrainingJob>;
}

/** Starts both on unix sockets in a folder of their own. */
export async function startHarness(overrides: TrainingOverrides = {}, changes: Partial<TrainingConfig> = {}): Promise<Harness> {
  const directory = tempDir();
  const path = (name: string): string => join(directory.path, name);
  const registry = await startFakeRegistry(`unix:${path("r.sock")}`, TOKEN);
  const config: TrainingConfig = {
    listen: `unix:${path("t.sock")}`,
    databaseUrl: `sqlite:${path("training.db")}`,
    blobDir: path("datasets"),
    workDir: path("work"),
    internalToken: TOKEN,
    registryAddress: registry.address,
    datasetLimits: { datasetBytesMax: 3_000_000, rowsMax: 1_000, columnsMax: 10 },
    inspectionTimeoutMs: 30_000,
    concurrency: 1,
    queuedMax: 3,
    attemptsMax: 3,
    cancelGraceMs: 2_000,
    saveGraceMs: 5_000,
    silenceMaxMs: 60_000,
    owner: "this service",
    leaseMs: 30_000,
    checkpointDir: path("checkpoints"),
    filesDir: path("files"),
    checkpointIntervalMs: 60_000,
    checkpointRetentionMs: 3_600_000,
    memoryBytesMax: 4 * 1024 ** 3,
    runMsMax: 3_600_000,
    projectRunningMax: 10,
    projectQueuedMax: 10,
    projectWeights: {},
    price: { perHour: 0, currency: "EUR" },
    publishRetryMs: 30_000,
    workerEnv: process.env,
    ...changes,
  };
  const start = () => startServer(config, { inspect: inspectLines, ...overrides });
  let server: Awaited<ReturnType<typeof start>> | undefined = await start();
  const channel = createChannel(config.listen, { token: TOKEN });
  const client = (identity: Identity = developer) => createClient(TrainingService, channel, { identity, timeoutMs: 30_000 });
  const stop = async (): Promise<void> => {
    await server?.[Symbol.asyncDispose]();
    server = undefined;
  };
  return {
    config,
    registry,
    client,
    tuning: (identity = developer) => createClient(FineTuningService, channel, { identity, timeoutMs: 30_000 }),
    stop,
    start: async () => {
      server = await start();
    },
    upload: (id, files, { format = Dataset_Format.CSV, sha256 = "", newVersion = false, dataset = {} } = {}) =>
      client().uploadDataset([
        { payload: { case: "head", value: { parent: "projects/p", datasetId: id, newVersion, dataset: { format, description: "rows", ...dataset } } } },
        ...Object.entries(files).flatMap(([role, text]) => [
          { payload: { case: "file" as const, value: { role, sha256 } } },
          ...chunksOf(text).map((value) => ({ payload: { case: "chunk" as const, value } })),
        ]),
      ]),
    create: (id, spec = { targetColumn: "b" }) =>
      client().createTrainingJob({ parent: "projects/p", trainingJobId: id, trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec } }),
    [Symbol.asyncDispose]: async () => {
      channel.close();
      await stop();
      await registry[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

/** Reads a job's events to its end. */
export async function eventsOf(client: Client<typeof TrainingService>, name: string, afterOffset = 0n): Promise<TrainingJobEvent[]> {
  const events: TrainingJobEvent[] = [];
  for await (const event of client.watchTrainingJob({ name, afterOffset })) events.push(event);
  return events;
}

/** What happened, as words: states by their name, progress by its step. */
export function storyOf(events: readonly TrainingJobEvent[]): string[] {
  return events.map(({ event }) => (event.case === "stateChanged" ? TrainingJob_State[event.value.state] : event.case === "progress" ? `step ${event.value.step}` : "?"));
}

function chunksOf(text: string): Uint8Array[] {
  const bytes = Buffer.from(text);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 500_000) chunks.push(bytes.subarray(at, at + 500_000));
  return chunks;
}

/** Stands for the readers, which have tests of their own: a comma list of columns, all categorical; "bad" is refused. */
const inspectLines: DatasetInspector = async ({ files }) => {
  const [header = "", ...rows] = readFileSync(files[0]?.path ?? "", "utf8").trim().split("\n");
  const bad = rows.findIndex((row) => row.includes("bad"));
  if (bad >= 0) throw new StatusError("DATASET_MALFORMED", `line ${bad + 2}: cannot be read`);
  return {
    rowCount: rows.length,
    columns: header.split(",").map((name, index) => ({ name, kind: "categorical", missingCount: 0, categories: [...new Set(rows.map((row) => row.split(",")[index] ?? ""))], mean: 0, standardDeviation: 0 })),
    imageShape: [],
    labelClasses: [],
    labelClassCounts: [],
    skippedRows: [],
    warnings: [],
  };
};
