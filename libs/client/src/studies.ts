import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { TuningStudy_State, type Trial, type TuningStudy, type TuningStudyEvent, type TuningStudySchema } from "@servable/contracts/training/v1/tuning_study";
import type { Client } from "@servable/grpc";
import { allPages, untimed, type ClientCallOptions, type Connection } from "./connection.ts";
import { isUnavailable, pause } from "./retry.ts";

/** What to search. */
export interface CreateStudyOptions extends ClientCallOptions {
  /** Data set and model may be ids; the service fills in what is not said. */
  readonly study: MessageInitShape<typeof TuningStudySchema>;
  /** Id of the study; absent = chosen by the service. */
  readonly id?: string | undefined;
}

/** Studies: searches for the best settings of a training. */
export class Studies {
  readonly #connection: Connection;
  readonly #training: Client<typeof TrainingService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#training = connection.client(TrainingService);
  }

  /** Begins a study. @throws StatusError `DATASET_NOT_FOUND`, `FIELD_REQUIRED`, `FIELD_INVALID`, `ALREADY_EXISTS`, `QUEUE_FULL` */
  create({ study, id = "", ...options }: CreateStudyOptions): Promise<TuningStudy> {
    const { dataset = "", model = "" } = study;
    const tuningStudy = { ...study, dataset: this.#connection.name("datasets", dataset), ...(model === "" ? {} : { model: this.#connection.name("models", model) }) };
    // One id for all attempts: a repeated call answers the study that the first one made.
    const request = { parent: this.#connection.parent, requestId: randomUUID(), tuningStudyId: id, tuningStudy: tuningStudy as TuningStudy };
    return this.#connection.retrying(() => this.#training.createTuningStudy(request, { signal: options.signal, timeoutMs: options.timeoutMs ?? 60_000 }), options);
  }

  get(study: string, options: ClientCallOptions = {}): Promise<TuningStudy> {
    return this.#connection.retrying(() => this.#training.getTuningStudy({ name: this.#name(study) }, options), options);
  }

  /** Newest first. */
  list(options: ClientCallOptions = {}): Promise<TuningStudy[]> {
    const { parent } = this.#connection;
    return allPages(async (pageToken) => {
      const { tuningStudies, nextPageToken } = await this.#connection.retrying(() => this.#training.listTuningStudies({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: tuningStudies, nextPageToken };
    });
  }

  /** All trials by number. */
  trials(study: string, options: ClientCallOptions = {}): Promise<Trial[]> {
    const parent = this.#name(study);
    return allPages(async (pageToken) => {
      const { trials, nextPageToken } = await this.#connection.retrying(() => this.#training.listTrials({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: trials, nextPageToken };
    });
  }

  /** Ends a study; what was found stays. */
  cancel(study: string, options: ClientCallOptions = {}): Promise<TuningStudy> {
    return this.#training.cancelTuningStudy({ name: this.#name(study) }, options);
  }

  /** Begins no further trials until {@link resume}. */
  pause(study: string, options: ClientCallOptions = {}): Promise<TuningStudy> {
    return this.#training.pauseTuningStudy({ name: this.#name(study) }, options);
  }

  resume(study: string, options: ClientCallOptions = {}): Promise<TuningStudy> {
    return this.#training.resumeTuningStudy({ name: this.#name(study) }, options);
  }

  /** A page about a study as HTML that is complete in itself. */
  async report(study: string, options: ClientCallOptions = {}): Promise<string> {
    return (await this.#connection.retrying(() => this.#training.getTuningStudyReport({ name: this.#name(study) }, options), options)).html;
  }

  /**
   * A study's events in order, each once, from `afterOffset` on until the study has ended. A broken stream is taken up again
   * behind the last event seen.
   */
  async *watch(study: string, options: ClientCallOptions & { readonly afterOffset?: bigint | undefined } = {}): AsyncGenerator<TuningStudyEvent> {
    const name = this.#name(study);
    let afterOffset = options.afterOffset ?? 0n;
    for (let attempt = 1; ; attempt += 1) {
      try {
        for await (const event of this.#training.watchTuningStudy({ name, afterOffset }, untimed(options))) {
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

  #name(study: string): string {
    return this.#connection.name("tuningStudies", study);
  }
}

/** Whether a study will not change any more. */
export function studyHasEnded({ state }: Pick<TuningStudy, "state">): boolean {
  return state === TuningStudy_State.SUCCEEDED || state === TuningStudy_State.FAILED || state === TuningStudy_State.CANCELLED;
}
