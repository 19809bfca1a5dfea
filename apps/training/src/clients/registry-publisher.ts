import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { parseName } from "@servable/aip";
import { ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { ModelRegistryService, type UploadArtifactRequest } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import { createClient, type CallOptions, type Channel, type Client } from "@servable/grpc";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { UploadArtifactRequestSchema } from "@servable/contracts/registry/v1/model_registry";
import type { ResultFile } from "../domain/job-executor.ts";
import type { ModelPublisher } from "../domain/model-publisher.ts";
import type { EvaluationRecord, JobRecord } from "../domain/records.ts";
import type { RunRecord } from "../domain/run-record.ts";

/** Chunks of an upload are at most 1 MiB. */
const CHUNK_BYTES = 1024 * 1024;
const CALL_TIMEOUT_MS = 30_000;
/** Uploading a large model, and loading it once to check it, take their time. */
const UPLOAD_TIMEOUT_MS = 10 * 60_000;

/** A publisher over the registry's API. */
export function registryPublisher(channel: Channel): ModelPublisher {
  const registry = createClient(ModelRegistryService, channel);
  return async (job, result, signal) => {
    const options: CallOptions = { identity: job.creator, signal, timeoutMs: CALL_TIMEOUT_MS };
    await createModelIfMissing(registry, job, options);
    const version = await registry.createModelVersion(
      {
        parent: job.model,
        requestId: requestIdOf(job),
        modelVersion: {
          description: `Trained by ${job.name}.`,
          labels: labelsOf(result.runRecord),
          lineage: { trainingJob: job.name, dataset: job.dataset, datasetDigest: job.datasetDigest },
          metrics: metricsOf(result.evaluation),
          servingConfigJson: result.servingConfigJson ?? "",
        },
      },
      options,
    );
    // An earlier attempt may have come this far, or farther.
    if (version.state !== ModelVersion_State.PENDING) return nameOfReady(version);
    for (const file of result.files) await registry.uploadArtifact(uploadOf(version.name, file, (await stat(file.file)).size), { ...options, timeoutMs: UPLOAD_TIMEOUT_MS });
    return nameOfReady(await registry.finalizeModelVersion({ name: version.name }, { ...options, timeoutMs: UPLOAD_TIMEOUT_MS }));
  };
}

async function createModelIfMissing(registry: Client<typeof ModelRegistryService>, { model }: JobRecord, options: CallOptions): Promise<void> {
  const ids = parseName("projects/{project}/models/{model}", model);
  try {
    await registry.getModel({ name: model }, options);
  } catch (error) {
    if (StatusError.from(error).reason !== "MODEL_NOT_FOUND") throw error;
    await registry.createModel({ parent: `projects/${ids.project}`, modelId: ids.model }, options).catch((failure: unknown) => {
      // Another job made it between the two calls.
      if (StatusError.from(failure).reason !== "ALREADY_EXISTS") throw failure;
    });
  }
}

function nameOfReady(version: ModelVersion): string {
  if (version.state === ModelVersion_State.READY) return version.name;
  throw new StatusError("MODEL_REFUSED", `the registry refused ${version.name} (${version.failureReason}): ${version.failureMessage}`, { metadata: { model_version: version.name, reason: version.failureReason } });
}

async function* uploadOf(modelVersion: string, { path, file, sha256 }: ResultFile, sizeBytes: number): AsyncGenerator<MessageInitShape<typeof UploadArtifactRequestSchema>> {
  yield { payload: { case: "head", value: { modelVersion, path, sha256, sizeBytes: BigInt(sizeBytes) } } };
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) yield { payload: { case: "chunk", value: chunk } satisfies UploadArtifactRequest["payload"] };
}

/** The same for every attempt of a job, so that a repetition finds the version that the first one made. */
function requestIdOf({ name, createTimeMs }: JobRecord): string {
  const hex = createHash("sha256").update(`${name} ${createTimeMs}`).digest("hex");
  // UUID version 8 (RFC 9562, section 5.8): its bits are the maker's own.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Every metric's value, and that of the worst slice, for promotion gates; intervals and the rest are in the report. */
function metricsOf({ metrics, slices }: EvaluationRecord): Record<string, number> {
  const values = Object.fromEntries(Object.entries(metrics).map(([name, { value }]) => [name, value]));
  for (const name of new Set(slices.flatMap((slice) => Object.keys(slice.metrics)))) {
    const found = slices.flatMap((slice) => slice.metrics[name]?.value ?? []);
    values[`slice_min_${name}`] = Math.min(...found);
    values[`slice_max_${name}`] = Math.max(...found);
  }
  return values;
}

/** What decided the result, beside the lineage: the job holds the whole record. */
function labelsOf(record: RunRecord | undefined): Record<string, string> {
  if (record === undefined) return {};
  const { seed, threadCount, weightsDigest, graphDigest, versions } = record;
  return {
    "training-seed": String(seed),
    "training-threads": String(threadCount),
    "training-weights": weightsDigest,
    "training-graph": graphDigest,
    ...Object.fromEntries(Object.entries(versions).map(([name, version]) => [`training-${name}`, version])),
  };
}
