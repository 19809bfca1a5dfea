import { parseName } from "@servable/aip";
import { authorize } from "@servable/auth";
import { FineTuningService, type UploadFileRequest } from "@servable/contracts/training/v1/fine_tuning";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { FineTuningJobs } from "../domain/fine-tuning/fine-tuning-jobs.ts";
import type { StoredFiles } from "../domain/fine-tuning/stored-files.ts";
import { required } from "./field-required.ts";
import { eventMessage, fileMessage, tuningJobMessage } from "./fine-tuning-messages.ts";

const PAGE_DEFAULT = 50;
const FILES_PAGE_MAX = 10_000;
const JOBS_PAGE_MAX = 1_000;
const CHUNK_BYTES_MAX = 256 * 1024;

/** servable.training.v1.FineTuningService over the domain. */
export function fineTuningService({ files, tunings }: { files: StoredFiles; tunings: FineTuningJobs }): ServiceRegistration {
  return implement(FineTuningService, {
    async uploadFile(requests, { identity }) {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      if (first.done === true || first.value.payload.case !== "head") throw required("head");
      const { parent, file, expireAfterSeconds } = first.value.payload.value;
      authorize(identity, "developer", parent);
      if (file === undefined) throw required("head.file");
      return fileMessage(await files.upload({ project: projectOf(parent), filename: file.filename, purpose: file.purpose, expireAfterSeconds: Number(expireAfterSeconds) }, chunksOf(messages)));
    },
    async getFile({ name }, { identity }) {
      authorize(identity, "user", name);
      return fileMessage(await files.get(...fileOf(name)));
    },
    async listFiles({ parent, purpose, pageSize, after, ascending }, { identity }) {
      authorize(identity, "user", parent);
      const limit = sizeOf(pageSize, FILES_PAGE_MAX);
      const found = await files.list(projectOf(parent), purpose, { after, limit: limit + 1, ascending });
      return { files: found.slice(0, limit).map(fileMessage), more: found.length > limit };
    },
    async deleteFile({ name }, { identity }) {
      authorize(identity, "developer", name);
      await files.delete(...fileOf(name));
      return {};
    },
    async *readFile({ name }, { identity }) {
      authorize(identity, "developer", name);
      const file = await files.get(...fileOf(name));
      for await (const bytes of files.read(file)) {
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES_MAX) yield { chunk: bytes.subarray(at, at + CHUNK_BYTES_MAX) };
      }
    },

    async createFineTuningJob({ parent, fineTuningJob: job }, { identity }) {
      const creator = authorize(identity, "developer", parent);
      if (job === undefined) throw required("fine_tuning_job");
      const { model, trainingFile, validationFile, suffix, seed, batchSize, learningRateMultiplier, epochCount, metadata } = job;
      return tuningJobMessage(await tunings.create({ project: projectOf(parent), model, trainingFile, validationFile, suffix, seed: seed === undefined ? undefined : Number(seed), hyperparameters: { batchSize, learningRateMultiplier, epochCount }, metadata }, creator));
    },
    async getFineTuningJob({ name }, { identity }) {
      authorize(identity, "user", name);
      return tuningJobMessage(await tunings.get(...jobOf(name)));
    },
    async listFineTuningJobs({ parent, pageSize, after, metadata }, { identity }) {
      authorize(identity, "user", parent);
      const limit = sizeOf(pageSize, JOBS_PAGE_MAX);
      const found = await tunings.list(projectOf(parent), { after, limit: limit + 1 }, metadata);
      return { fineTuningJobs: found.slice(0, limit).map(tuningJobMessage), more: found.length > limit };
    },
    async cancelFineTuningJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return tuningJobMessage(await tunings.cancel(...jobOf(name)));
    },
    async pauseFineTuningJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return tuningJobMessage(await tunings.pause(...jobOf(name)));
    },
    async resumeFineTuningJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return tuningJobMessage(await tunings.resume(...jobOf(name)));
    },
    async listFineTuningEvents({ name, pageSize, after }, { identity }) {
      authorize(identity, "user", name);
      const limit = sizeOf(pageSize, JOBS_PAGE_MAX);
      const found = await tunings.events(...jobOf(name), { after, limit: limit + 1 });
      return { events: found.slice(0, limit).map(eventMessage), more: found.length > limit };
    },
  });
}

function projectOf(parent: string): string {
  return parseName("projects/{project}", parent, "parent").project;
}

function fileOf(name: string): [string, string] {
  const { project, file } = parseName("projects/{project}/files/{file}", name);
  return [project, file];
}

function jobOf(name: string): [string, string] {
  const { project, fine_tuning_job: job } = parseName("projects/{project}/fineTuningJobs/{fine_tuning_job}", name);
  return [project, job];
}

function sizeOf(asked: number, most: number): number {
  if (asked < 0) throw new StatusError("FIELD_INVALID", `page_size must not be negative, got ${asked}`, { metadata: { field: "page_size" } });
  return asked === 0 ? PAGE_DEFAULT : Math.min(asked, most);
}

async function* chunksOf(messages: AsyncIterator<UploadFileRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    if (next.value.payload.case !== "chunk") throw new StatusError("FIELD_INVALID", "after the head only chunks may follow", { metadata: { field: "chunk" } });
    yield next.value.payload.value;
  }
}
