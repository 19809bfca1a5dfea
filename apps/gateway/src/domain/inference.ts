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

  /** A replica that gave no answer, or refused before it began, costs one more try elsewhere; never a second one. */
  const forward = async (addresses: readonly string[], sequence: string | undefined, method: string, request: Uint8Array, caller: Caller): Promise<Uint8Array> => {
    const first = sequence === undefined ? balancer.choose(addresses) : balancer.chooseByKey(addresses, sequence);
    if (first === undefined) throw unavailable();
    try {
      return await attempt(first, method, request, caller);
    } catch (error) {
      const second = mayRetry(error) && sequence === undefined ? balancer.choose(addresses, first) : undefined;
      if (second === undefined) throw publicError(error);
      return await attempt(second, method, request, caller).catch((again: unknown) => {
        throw publicError(again);
      });
    }
  };

  const run = async (reference: ReturnType<typeof peekInfer>, request: Uint8Array, caller: Caller): Promise<Uint8Array> => {
    // Nearly every call finds its route at once; only the others wait, and need a signal to wait with.
    const { addresses } = router.peek(caller.identity.project, reference) ?? (await router.find(caller.identity.project, reference, caller.signal));
    return forward(addresses, sequenceKey(reference, caller), "ModelInfer", request, caller);
  };

  return {
    inferUnmeasured: async (request, caller) => run(peekInfer(request), request, caller),
    async infer(request, caller) {
      const reference = peekInfer(request);
      return usage.measure("ModelInfer", reference, caller, async (meter) => {
        meter.addBytes(request.length);
        const response = await run(reference, request, caller);
        meter.addBytes(response.length);
        return response;
      });
    },
    async ask(method, reference, request, caller) {
      const { addresses } = await router.find(caller.identity.project, reference, caller.signal);
      return forward(addresses, undefined, method, request, caller);
    },
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

/** No answer, or refused before the model ran. */
function mayRetry(error: unknown): boolean {
  return isUnanswered(error) || (error instanceof StatusError && (error.reason === "SHUTTING_DOWN" || error.reason === "MODEL_NOT_READY"));
}

/** A caller need not know of addresses and connections behind the gateway. */
export function publicError(error: unknown): unknown {
  return isUnanswered(error) ? unavailable(error) : error;
}

function unavailable(cause?: unknown): StatusError {
  return new StatusError("REPLICA_UNAVAILABLE", "no inference replica answers: call again shortly", { cause });
}
