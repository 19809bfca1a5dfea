// Some questions no single replica can answer, and some orders all of them must hear.

import { StatusError, type StatusCode } from "@servable/errors";
import { withSignal, type Caller } from "./caller.ts";
import { publicError, type ReplicaClient } from "./inference.ts";
import type { Router } from "./router.ts";

/** A replica that takes longer is left out: one that hangs must not make all of them look dead. */
const ANSWER_MS_MAX = 10_000;

/** What one replica made of a call. */
export interface ReplicaAnswer {
  readonly address: string;
  readonly result: PromiseSettledResult<Uint8Array>;
}

/** Calls to all replicas at once, as bytes. */
export interface Broadcast {
  /** What those say that answer. @throws the first error when none does */
  ask(method: string, request: Uint8Array, caller: Caller, addresses?: readonly string[]): Promise<Uint8Array[]>;
  /** What each of them says. @throws StatusError `REPLICA_UNAVAILABLE` when there is none */
  tell(method: string, request: Uint8Array, caller: Caller, addresses?: readonly string[]): Promise<ReplicaAnswer[]>;
}

/** Broadcasts over the replicas that hold a lease. */
export function createBroadcast({ router, replicas }: { router: Pick<Router, "replicas">; replicas: Pick<ReplicaClient, "unary"> }): Broadcast {
  const tell: Broadcast["tell"] = async (method, request, caller, addresses) => {
    const all = addresses ?? (await router.replicas(caller.signal));
    const bounded: Caller = withSignal(caller, AbortSignal.any([caller.signal, AbortSignal.timeout(ANSWER_MS_MAX)]));
    const results = await Promise.allSettled(all.map((address) => replicas.unary(address, method, request, bounded)));
    caller.signal.throwIfAborted();
    return results.map((result, index) => ({ address: all[index] ?? "", result }));
  };
  return {
    tell,
    async ask(method, request, caller, addresses) {
      const answers = await tell(method, request, caller, addresses);
      const values = answers.flatMap(({ result }) => (result.status === "fulfilled" ? [result.value] : []));
      if (values.length > 0) return values;
      throw failureOf(answers);
    },
  };
}

/** Why a replica failed, if one did; what a replica says of the request comes before what it does not know, and that before what the connection says. */
export function firstFailure(answers: readonly ReplicaAnswer[]): unknown {
  const reasons = answers.flatMap(({ result }) => (result.status === "rejected" ? [result.reason as unknown] : []));
  const without = (...codes: readonly StatusCode[]): unknown => reasons.find((reason) => reason instanceof StatusError && !codes.includes(reason.code));
  return without("UNAVAILABLE", "NOT_FOUND") ?? without("UNAVAILABLE") ?? reasons[0];
}

/** The error to answer when no replica did what was asked. */
export function failureOf(answers: readonly ReplicaAnswer[]): StatusError {
  const failure = firstFailure(answers);
  return failure === undefined ? new StatusError("REPLICA_UNAVAILABLE", "no inference replica answers: call again shortly") : StatusError.from(publicError(failure));
}
