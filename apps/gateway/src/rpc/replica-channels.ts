import type { DescMethod } from "@bufbuild/protobuf";
import { ExplanationService } from "@servable/contracts/inference/v1/explanation";
import { ReplicaService } from "@servable/contracts/inference/v1/replica";
import { TasksService } from "@servable/contracts/inference/v1/tasks";
import { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { createChannel, createLeanChannel, methodPath, rawStream, rawUnary, type CallOptions, type Channel, type ChannelOptions } from "@servable/grpc";
import type { Caller } from "../domain/caller.ts";
import type { ReplicaClient } from "../domain/inference.ts";

/** Channels to inference replicas, opened with the first call to an address. */
export interface ReplicaChannels extends ReplicaClient, Disposable {
  /** Closes channels to addresses that are gone, unless calls still use them. */
  retain(addresses: ReadonlySet<string>, isBusy: (address: string) => boolean): void;
}

/** What replicas serve; no two of these services have a method of the same name. */
const SERVED = [GRPCInferenceService, ReplicaService, TasksService, ExplanationService];
const PATHS = new Map<string, string>(SERVED.flatMap(({ methods }) => methods).map((method: DescMethod) => [method.name, methodPath(method)]));

/** What carries calls to replicas. See docs/adr/0015-lean-channel-for-the-hop.md. */
export const REPLICA_TRANSPORTS = {
  carried: (address: string, options: ChannelOptions): Channel => createLeanChannel(address, { ...options, carriesCalls: true }),
  lean: createLeanChannel,
  "grpc-js": createChannel,
} as const;

/** Channels that all have the same options. */
export function createReplicaChannels({ transport, ...options }: ChannelOptions & { readonly transport: keyof typeof REPLICA_TRANSPORTS }): ReplicaChannels {
  const channels = new Map<string, Channel>();
  const channelTo = (address: string): Channel => {
    let channel = channels.get(address);
    if (channel === undefined) channels.set(address, (channel = REPLICA_TRANSPORTS[transport](address, options)));
    return channel;
  };
  return {
    unary: (address, method, request, caller) =>
      rawUnary(channelTo(address), pathOf(method), request, optionsOf(caller)).catch((error: unknown) => {
        throw asUnanswered(error, caller);
      }),
    async *stream(address, method, requests, caller) {
      try {
        yield* rawStream(channelTo(address), pathOf(method), requests, optionsOf(caller));
      } catch (error) {
        throw asUnanswered(error, caller);
      }
    },
    retain(addresses, isBusy) {
      for (const [address, channel] of channels) {
        if (addresses.has(address) || isBusy(address)) continue;
        channels.delete(address);
        channel.close();
      }
    },
    [Symbol.dispose]() {
      for (const channel of channels.values()) channel.close();
      channels.clear();
    },
  };
}

/** A replica that stops resets its calls, which looks like a cancellation that nobody asked for. */
function asUnanswered(error: unknown, caller: Caller): unknown {
  if ((caller.cancellation ?? caller.signal).aborted || !(error instanceof StatusError) || error.reason !== "CANCELLED") return error;
  return new StatusError("SERVICE_UNAVAILABLE", "the inference replica ended the call", { cause: error });
}

function pathOf(method: string): string {
  const path = PATHS.get(method);
  if (path === undefined) throw new TypeError(`replicas serve no ${method}`);
  return path;
}

function optionsOf(caller: Caller): CallOptions {
  const { identity, requestId, deadline } = caller;
  return { identity, requestId, deadline, signal: caller.cancellation ?? caller.signal };
}
