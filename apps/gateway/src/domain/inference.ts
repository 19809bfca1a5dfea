// Every call to a model goes through here, over whichever wire it came: find the route, choose a replica, pass the bytes
// on, record the usage. Tensors are never decoded.

import { StatusError } from "@servable/errors";
import type { Caller } from "./caller.ts";
import type { LoadBalancer } from "./load-balancing.ts";
import { peekInfer, type InferReference, type ModelReference } from "./model-reference.ts";
import type { Router } from "./router.ts";
import type { UsageRecorder } from "./usage-recorder.ts";

/** How long a load or unload waits until the routing table shows it. */
const TABLE_FOLLOWS_MS = 3_000;
/** How long a call waits for a newer table when the replica that the table names has let the model go. */
const STALE_TABLE_MS = 1_000;
/** Replicas that one call may be refused by before its error is the caller's. */
const REFUSALS_MAX = 6;

/** Calls to replicas, as bytes. `method` is a name of GRPCInferenceService or TasksService. */
export interface ReplicaClient {
  unary(address: string, method: string, request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  stream(address: string, method: string, requests: AsyncIterable<Uint8Array>, caller: Caller): AsyncIterable<Uint8Array>;
}

/** The gateway's way to the models. */
export interface Inference {
  /** Runs a model once: an encoded ModelInferRequest for an encoded ModelInferResponse. */
  infer(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** The same inside a measured call: counts no usage of its own. */
  inferUnmeasured(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** Asks about a model. */
  ask(method: string, reference: ModelReference, request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** Asks any replica. */
  askAny(method: string, request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** Loads or unloads a model and waits until calls would find it, or no longer. */
  changeRepository(method: "RepositoryModelLoad" | "RepositoryModelUnload", model: string, request: Uint8Array, caller: Caller): Promise<Uint8Array>;
}

/** What inference stands on. */
export interface InferenceDeps {
  readonly router: Router;
  readonly balancer: LoadBalancer;
  readonly replicas: ReplicaClient;
  readonly usage: UsageRecorder;
  /** `none` refuses loads and unloads. */
  readonly modelControl: "explicit" | "none";
}

/** Inference over the replicas. */
export function createInference({ router, balancer, replicas, usage, modelControl }: InferenceDeps): Inference {
  const attempt = async (address: string, method: string, request: Uint8Array, caller: Caller): Promise<Uint8Array> => {
    const end = balancer.begin(address);
    try {
      return await replicas.unary(address, method, request, caller);
    } catch (error) {
      if (isUnanswered(error)) balancer.penalize(address);
      throw error;
    } finally {
      end();
    }
  };

  /** A replica that gave no answer costs one more try elsewhere; never a second one. */
  const forward = async (addresses: readonly string[], sequence: string | undefined, method: string, request: Uint8Array, caller: Caller): Promise<Uint8Array> => {
    const first = sequence === undefined ? balancer.choose(addresses) : balancer.chooseByKey(addresses, sequence);
    if (first === undefined) throw unavailable();
    try {
      return await attempt(first, method, request, caller);
    } catch (error) {
      const second = (isUnanswered(error) || wasRefused(error)) && sequence === undefined ? balancer.choose(addresses, first) : undefined;
      if (second === undefined) throw publicError(error);
      return await attempt(second, method, request, caller).catch((again: unknown) => {
        throw publicError(again);
      });
    }
  };

  /**
   * The table is a moment behind the replicas: one that has let a model go, or is about to stop, refuses before anything
   * ran. Such a call goes on to where the next table says, so that nobody notices a switch.
   */
  const follow = async (reference: InferReference, method: string, request: Uint8Array, caller: Caller): Promise<Uint8Array> => {
    const { project } = caller.identity;
    // Nearly every call finds its route at once; only the others wait, and need a signal to wait with.
    let route = router.peek(project, reference) ?? (await router.find(project, reference, caller.signal));
    for (let refusals = 0; ; refusals += 1) {
      try {
        return await forward(route.addresses, sequenceKey(reference, caller), method, request, caller);
      } catch (error) {
        const old = route;
        if (!wasRefused(error) || refusals >= REFUSALS_MAX || !(await router.until(() => router.peek(project, reference) !== old, STALE_TABLE_MS, caller.signal))) throw error;
        route = await router.find(project, reference, caller.signal).catch((gone: unknown) => {
          throw gone instanceof StatusError && gone.reason === "MODEL_VERSION_NOT_FOUND" ? gone : error;
        });
      }
    }
  };

  return {
    inferUnmeasured: async (request, caller) => follow(peekInfer(request), "ModelInfer", request, caller),
    async infer(request, caller) {
      const reference = peekInfer(request);
      return usage.measure("ModelInfer", reference, caller, async (meter) => {
        meter.addBytes(request.length);
        const response = await follow(reference, "ModelInfer", request, caller);
        meter.addBytes(response.length);
        return response;
      });
    },
    ask: (method, reference, request, caller) => follow({ ...reference, id: "", sequence: undefined }, method, request, caller),
    async askAny(method, request, caller) {
      return forward(await router.replicas(caller.signal), undefined, method, request, caller);
    },
    async changeRepository(method, model, request, caller) {
      if (modelControl === "none") throw new StatusError("MODEL_CONTROL_OFF", "explicit model load / unload is not allowed if polling is enabled: set SERVABLE_MODEL_CONTROL=explicit, or deploy the model");
      const addresses = await router.replicas(caller.signal);
      const address = balancer.choose(addresses);
      if (address === undefined) throw unavailable();
      // Not idempotent for its observers (a reload is a reload), so it is not tried twice.
      const response = await attempt(address, method, request, caller).catch((error: unknown) => {
        throw publicError(error);
      });
      const served = (): boolean => router.peek(caller.identity.project, { model, version: "" }) !== undefined;
      await router.until(() => served() === (method === "RepositoryModelLoad"), TABLE_FOLLOWS_MS, caller.signal);
      return response;
    },
  };
}

/** What keeps a sequence with its replica: an id of one model says nothing about another's. */
export function sequenceKey({ model, sequence }: InferReference, { identity }: Caller): string | undefined {
  return sequence === undefined ? undefined : `${identity.project}/${model}/${sequence}`;
}

/** Whether the connection failed, so that nobody knows how far the call came. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof StatusError && error.reason === "SERVICE_UNAVAILABLE";
}

/** Refused by a replica that does not serve the model, or nothing any more: no model ran. */
function wasRefused(error: unknown): boolean {
  return error instanceof StatusError && (error.reason === "SHUTTING_DOWN" || error.reason === "MODEL_NOT_READY" || error.reason === "MODEL_NOT_FOUND");
}

/** A caller need not know of addresses and connections behind the gateway. */
export function publicError(error: unknown): unknown {
  return isUnanswered(error) ? unavailable(error) : error;
}

function unavailable(cause?: unknown): StatusError {
  return new StatusError("REPLICA_UNAVAILABLE", "no inference replica answers: call again shortly", { cause });
}
