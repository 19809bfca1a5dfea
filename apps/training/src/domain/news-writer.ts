import { StatusError } from "@servable/errors";
import type { CheckpointVault } from "./checkpoint-vault.ts";
import type { AttemptNews } from "./job-executor.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRecord } from "./records.ts";
import { addUsage, NO_USAGE, type JobUsage } from "./run-record.ts";
import type { AttemptFence } from "./training-store.ts";

/** News that wait to be stored; beyond it newer progress replaces older. */
const NEWS_WAITING_MAX = 64;

type StoredNews = Exclude<AttemptNews, { kind: "usage" }>;

/** What a writer stands on. */
export interface NewsWriterDeps {
  readonly log: JobLog;
  readonly vault: CheckpointVault;
  readonly attempt: AttemptFence;
  /** The job when the attempt began. */
  readonly job: JobRecord;
  /** The attempt is stale: it must end. */
  readonly onStale: () => void;
  readonly unexpected: (event: string, job: string, error: unknown) => void;
}

/**
 * Stores what an attempt says, in the order in which it said it.
 *
 * Progress is news, not state: what cannot be stored is logged and the training goes on. So is a checkpoint that cannot be
 * stored: the one before still counts.
 */
export class NewsWriter {
  readonly #deps: NewsWriterDeps;
  readonly #waiting: StoredNews[] = [];
  #writing: Promise<void> | undefined;
  #used: JobUsage = NO_USAGE;

  constructor(deps: NewsWriterDeps) {
    this.#deps = deps;
  }

  /** What all attempts used, this one as it last said. */
  get usage(): JobUsage {
    return addUsage(this.#deps.job.usage, this.#used);
  }

  /** What this attempt used. */
  get attemptUsage(): JobUsage {
    return this.#used;
  }

  write(news: AttemptNews): void {
    if (news.kind === "usage") {
      // Stored with whatever comes next.
      this.#used = news.usage;
      return;
    }
    const newest = this.#waiting.at(-1);
    if (this.#waiting.length >= NEWS_WAITING_MAX && news.kind === "progress" && newest?.kind === "progress") this.#waiting.pop();
    this.#waiting.push(news);
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything said so far is stored. */
  async written(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#store(next).catch((error: unknown) => {
        if (StatusError.from(error).reason === "ATTEMPT_STALE") this.#deps.onStale();
        else this.#deps.unexpected("news_not_stored", this.#deps.job.name, error);
      });
    }
    this.#writing = undefined;
  }

  async #store(news: StoredNews): Promise<void> {
    const { log, vault, attempt, job } = this.#deps;
    const usage = this.usage;
    switch (news.kind) {
      case "progress":
        return log.report(attempt, { kind: "progress", progress: news.progress }, { progress: news.progress, usage });
      case "log":
        return log.report(attempt, { kind: "log", message: news.message }, { usage });
      case "checkpoint":
        return vault.take(attempt, news.checkpoint, job.spec.checkpointPolicy.keepCount, { usage });
      case "record":
        await log.changeAttempt(attempt, (current) => ({ ...current, runRecord: news.runRecord }));
        return;
      case "estimate":
        await log.changeAttempt(attempt, (current) => ({ ...current, costEstimate: news.estimate }));
        return;
      default: {
        const never: never = news;
        return never;
      }
    }
  }
}
