import { setTimeout as delay } from "node:timers/promises";
import { VersionStatus_State, type DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import type { LoadedModel } from "./loaded-model.ts";
import type { ModelRepository } from "./model-repository.ts";

/** The registry's calls that a replica makes. */
export type RegistryCalls = Pick<Client<typeof DeploymentService>, "watchAssignments" | "reportReplica">;

/** What the follower needs to know. */
export interface FollowerOptions {
  readonly replicaId: string;
  /** Where gateways reach this replica. */
  readonly address: string;
  /** 0 = not limited. */
  readonly memoryBudgetBytes: number;
  /** How long a replica that stops goes on serving until others serve what it alone does. */
  readonly handOverMs: number;
  readonly onEvent: (event: string, fields: Record<string, unknown>) => void;
}

const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 2_000;
const REPORT_EVERY_MS = 3_000;
const REPORT_TIMEOUT_MS = 5_000;
const HAND_OVER_LOOK_MS = 50;

/**
 * Follows the registry: applies the assignments it streams and reports what is served, at each change and in time for the
 * lease. A registry that is away stops changes, not inference.
 */
export class RegistryFollower implements AsyncDisposable {
  readonly #registry: RegistryCalls;
  readonly #repository: ModelRepository;
  readonly #options: FollowerOptions;
  readonly #abort = new AbortController();
  readonly #loops: Promise<void>[] = [];
  connected = false;
  /** True from the wish to stop on. */
  draining = false;

  constructor(registry: RegistryCalls, repository: ModelRepository, options: FollowerOptions) {
    this.#registry = registry;
    this.#repository = repository;
    this.#options = options;
  }

  start(): void {
    this.#loops.push(this.#follow(), this.#report());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handOver();
    this.#abort.abort();
    await Promise.allSettled(this.#loops);
    // Gateways stop sending at once instead of waiting for the lease to end.
    await this.#send(true).catch(() => {});
  }

  /** Goes on serving until the registry says that others do, or nobody else could. */
  async #handOver(): Promise<void> {
    this.draining = true;
    const untilMs = Date.now() + this.#options.handOverMs;
    while (this.connected && Date.now() < untilMs) {
      try {
        if (await this.#send(false)) return;
      } catch {
        // Without a registry nothing moves: it stops as if it were alone.
        return;
      }
      await delay(HAND_OVER_LOOK_MS);
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort;
    let pauseMs = RECONNECT_MS_MIN;
    while (!signal.aborted) {
      try {
        for await (const { assignments } of this.#registry.watchAssignments({ replicaId: this.#options.replicaId }, { signal })) {
          pauseMs = RECONNECT_MS_MIN;
          // Not awaited: a slow load must not keep newer assignments from being heard.
          void this.#repository.apply(assignments);
        }
      } catch (error) {
        if (!signal.aborted) this.#options.onEvent("registry_watch_lost", { reason: StatusError.from(error).reason });
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, RECONNECT_MS_MAX);
    }
  }

  async #report(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const wake = AbortSignal.any([signal, AbortSignal.timeout(this.connected ? REPORT_EVERY_MS : RECONNECT_MS_MIN * 5)]);
      const changed = this.#repository.changed(wake);
      try {
        await this.#send(false);
        this.connected = true;
      } catch {
        this.connected = false;
      }
      await changed;
    }
  }

  /** Answers whether a draining replica may stop. */
  async #send(leaving: boolean): Promise<boolean> {
    const { replicaId, address, memoryBudgetBytes } = this.#options;
    const { handedOver } = await this.#registry.reportReplica(
      {
        replica: { replicaId, address, memoryBudgetBytes: BigInt(memoryBudgetBytes), draining: this.draining },
        leaving,
        statuses: this.#repository.all().map((model) => ({
          deployment: model.spec.deployment,
          version: BigInt(model.spec.version),
          state: stateOf(model),
          message: model.message,
          assignmentEtag: model.spec.etag,
          memoryBytes: BigInt(model.footprintBytes),
        })),
      },
      { timeoutMs: REPORT_TIMEOUT_MS },
    );
    return handedOver;
  }
}

/** A model that is loaded because a call asked for it goes on taking calls. */
function stateOf({ state, isServing }: LoadedModel): VersionStatus_State {
  return VersionStatus_State[state === "LOADING" && isServing ? "IDLE" : state];
}
