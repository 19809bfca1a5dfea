import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { TrainingJob_State, type TrainingJob, type TrainingJobEvent, type TrainingSpecSchema } from "@servable/contracts/training/v1/training_job";
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
    // One id for all attempts: a repeated call answers the job that the first one made.
    const request = {
      parent: this.#connection.parent,
      requestId: randomUUID(),
      trainingJobId: options.job ?? "",
      trainingJob: { dataset: this.#connection.name("datasets", options.dataset), model: this.#connection.name("models", options.model), spec: options.spec },
    };
    return this.#connection.retrying(() => this.#training.createTrainingJob(request, { signal: options.signal, timeoutMs: options.timeoutMs ?? 60_000 }), options);
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
}

/** Whether a job will not change any more. */
export function hasEnded({ state }: Pick<TrainingJob, "state">): boolean {
  return state === TrainingJob_State.SUCCEEDED || state === TrainingJob_State.FAILED || state === TrainingJob_State.CANCELLED;
}
