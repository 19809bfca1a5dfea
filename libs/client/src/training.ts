import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { TrainingJob_State, type CostEstimate, type TrainingCheckpoint, type TrainingJob, type TrainingJobEvent, type TrainingJobSchema, type TrainingLimitsSchema, type TrainingSpecSchema } from "@servable/contracts/training/v1/training_job";
import type { Client } from "@servable/grpc";
import { allPages, untimed, type ClientCallOptions, type Connection } from "./connection.ts";
import { isUnavailable, pause } from "./retry.ts";

/** What to train. */
export interface TrainOptions extends ClientCallOptions {
  readonly dataset: string;
  /** Id of the model that the result becomes a version of. */
  readonly model: string;
  readonly spec: MessageInitShape<typeof TrainingSpecSchema>;
  /** Id of the job; absent = chosen by the service. */
  readonly job?: string | undefined;
  /** Higher goes first among the project's jobs; -100 to 100. @default 0 */
  readonly priority?: number | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What the job may use. @default the service's bounds */
  readonly limits?: MessageInitShape<typeof TrainingLimitsSchema> | undefined;
}

/** Training jobs. */
export class Training {
  readonly #connection: Connection;
  readonly #training: Client<typeof TrainingService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#training = connection.client(TrainingService);
  }

  /** Queues a job. @throws StatusError `DATASET_NOT_FOUND`, `TARGET_UNSUITABLE`, `QUEUE_FULL`, `FIELD_INVALID` */
  create(options: TrainOptions): Promise<TrainingJob> {
    return this.#create(options.job ?? "", this.#jobOf(options), options);
  }

  /** Says what a job would need, by running a few of its steps. @throws StatusError what `create` throws, and what would refuse the job at its begin */
  estimate(options: TrainOptions): Promise<CostEstimate> {
    return this.#training.estimateTrainingJob({ parent: this.#connection.parent, trainingJob: this.#jobOf(options) }, { signal: options.signal, timeoutMs: options.timeoutMs ?? 600_000 });
  }

  /** Queues a repetition of a job's run from its record; it SUCCEEDS only where the weights are the same bits. @throws StatusError `STATE_WRONG` */
  reproduce(job: string, options: ClientCallOptions = {}): Promise<TrainingJob> {
    return this.#create("", { reproducedJob: this.#connection.name("trainingJobs", job) }, options);
  }

  get(job: string, options: ClientCallOptions = {}): Promise<TrainingJob> {
    return this.#connection.retrying(() => this.#training.getTrainingJob({ name: this.#connection.name("trainingJobs", job) }, options), options);
  }

  /** Newest first. */
  list(options: ClientCallOptions = {}): Promise<TrainingJob[]> {
    const { parent } = this.#connection;
    return allPages(async (pageToken) => {
      const { trainingJobs, nextPageToken } = await this.#connection.retrying(() => this.#training.listTrainingJobs({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: trainingJobs, nextPageToken };
    });
  }

  cancel(job: string, options: ClientCallOptions = {}): Promise<TrainingJob> {
    return this.#training.cancelTrainingJob({ name: this.#connection.name("trainingJobs", job) }, options);
  }

  /** Asks a job to write a checkpoint and wait. @throws StatusError `STATE_WRONG` */
  pause(job: string, options: ClientCallOptions = {}): Promise<TrainingJob> {
    return this.#training.pauseTrainingJob({ name: this.#connection.name("trainingJobs", job) }, options);
  }

  /** Queues a paused job again. @throws StatusError `STATE_WRONG`, `QUEUE_FULL`, `QUOTA_EXCEEDED` */
  resume(job: string, options: ClientCallOptions = {}): Promise<TrainingJob> {
    return this.#training.resumeTrainingJob({ name: this.#connection.name("trainingJobs", job) }, options);
  }

  /** Checkpoints that a job keeps, newest first. */
  checkpoints(job: string, options: ClientCallOptions = {}): Promise<TrainingCheckpoint[]> {
    const parent = this.#connection.name("trainingJobs", job);
    return allPages(async (pageToken) => {
      const { checkpoints, nextPageToken } = await this.#connection.retrying(() => this.#training.listTrainingCheckpoints({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: checkpoints, nextPageToken };
    });
  }

  /**
   * A job's events in order, each once, from `afterOffset` on until the job has ended. A broken stream is taken up again
   * behind the last event seen.
   */
  async *watch(job: string, options: ClientCallOptions & { readonly afterOffset?: bigint | undefined } = {}): AsyncGenerator<TrainingJobEvent> {
    const name = this.#connection.name("trainingJobs", job);
    let afterOffset = options.afterOffset ?? 0n;
    for (let attempt = 1; ; attempt += 1) {
      try {
        for await (const event of this.#training.watchTrainingJob({ name, afterOffset }, untimed(options))) {
          attempt = 1;
          if (event.offset <= afterOffset) continue;
          afterOffset = event.offset;
          yield event;
        }
        return;
      } catch (error) {
        if (!isUnavailable(error) || attempt >= (this.#connection.retryPolicy.attemptsMax ?? 4)) throw error;
        await pause(attempt, this.#connection.retryPolicy, options.signal);
      }
    }
  }

  #jobOf({ dataset, model, spec, priority, labels, limits }: TrainOptions): MessageInitShape<typeof TrainingJobSchema> {
    return {
      dataset: this.#connection.name("datasets", dataset),
      model: this.#connection.name("models", model),
      spec,
      ...(priority === undefined ? {} : { priority }),
      ...(labels === undefined ? {} : { labels: { ...labels } }),
      ...(limits === undefined ? {} : { limits }),
    };
  }

  /** One id for all attempts: a repeated call answers the job that the first one made. */
  #create(trainingJobId: string, trainingJob: MessageInitShape<typeof TrainingJobSchema>, options: ClientCallOptions): Promise<TrainingJob> {
    const request = { parent: this.#connection.parent, requestId: randomUUID(), trainingJobId, trainingJob };
    return this.#connection.retrying(() => this.#training.createTrainingJob(request, { signal: options.signal, timeoutMs: options.timeoutMs ?? 60_000 }), options);
  }
}

/** Whether a job will not change any more. */
export function hasEnded({ state }: Pick<TrainingJob, "state">): boolean {
  return state === TrainingJob_State.SUCCEEDED || state === TrainingJob_State.FAILED || state === TrainingJob_State.CANCELLED;
}
