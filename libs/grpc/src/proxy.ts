import type { DescService } from "@bufbuild/protobuf";
import { Metadata, status as GrpcStatus, type ServerDuplexStream, type StatusObject, type UntypedHandleCall } from "@grpc/grpc-js";
import type { CallContext } from "./call-context.ts";
import { outgoingCall } from "./client.ts";
import { asBuffer, deadlineOption, identity, metadataFrom, type GrpcJsChannel } from "./grpc-js-channel.ts";
import { contextOf, runCall, type CallPolicy } from "./handlers.ts";
import { methodPath } from "./service.ts";
import { fromGrpcError, toGrpcStatus } from "./status.ts";
import { startClientSpan } from "./tracing.ts";

/** A service whose calls are passed on as bytes. */
export interface ProxyRegistration {
  readonly desc: DescService;
  /** Chooses the channel of a call; throws to refuse it. */
  readonly target: (method: string, context: CallContext) => GrpcJsChannel;
}

/** Passes every call of a service on to another server, undecoded, with the caller's identity, deadline and cancellation. */
export function proxyService(desc: DescService, target: ProxyRegistration["target"]): ProxyRegistration {
  return { desc, target };
}

/** grpc-js definition and handlers of a proxied service: on the wire every call kind is messages up, messages down, a status. */
export function proxyHandlers({ desc, target }: ProxyRegistration, policy: CallPolicy): Record<string, { path: string; handler: UntypedHandleCall }> {
  const handlers: Record<string, { path: string; handler: UntypedHandleCall }> = {};
  for (const method of desc.methods) {
    const path = methodPath(method);
    handlers[method.name] = {
      path,
      handler: (call: ServerDuplexStream<Buffer, Buffer>) => {
        let foreign: StatusObject | undefined;
        void runCall(contextOf(call, path), policy, async (context) => {
          const status = await forward(call, target(path, context), path, context);
          if (status.code === GrpcStatus.OK) {
            context.finish();
            call.end(status.metadata);
            return;
          }
          foreign = status;
          throw fromGrpcError(Object.assign<Error, StatusObject>(new Error(status.details), status));
        }).then((failure) => {
          if (failure === undefined) return;
          // Our own reasons are rebuilt; other details of the server behind pass through as they are.
          call.emit("error", foreign !== undefined && failure.reason !== "SERVICE_UNAVAILABLE" ? foreign : toGrpcStatus(failure));
        });
      },
    };
  }
  return handlers;
}

async function forward(call: ServerDuplexStream<Buffer, Buffer>, channel: GrpcJsChannel, path: string, context: CallContext): Promise<StatusObject> {
  const outgoing = outgoingCall(channel, path, { identity: context.identity, requestId: context.requestId, deadline: context.deadline });
  const span = startClientSpan(path, outgoing.headers);
  const onward = channel.client.makeBidiStreamRequest<Uint8Array, Buffer>(path, asBuffer, identity, metadataFrom(outgoing.headers), deadlineOption(outgoing.deadlineMs));
  const cancel = (): void => onward.cancel();
  if (context.cancellation.aborted) cancel();
  else context.cancellation.addEventListener("abort", cancel, { once: true });
  const { promise, resolve } = Promise.withResolvers<StatusObject>();
  onward.on("metadata", (headers: Metadata) => {
    if (!call.cancelled) call.sendMetadata(headers);
  });
  // The status event follows the last message and always comes; the error event repeats it.
  onward.on("error", () => {});
  onward.on("status", resolve);
  // grpc-js types its streams by message, node:stream by string or bytes; at run time they are the same streams.
  call.pipe(onward as unknown as NodeJS.WritableStream);
  onward.pipe(call as unknown as NodeJS.WritableStream, { end: false });
  try {
    const status = await promise;
    span.end(GrpcStatus[status.code] ?? "UNKNOWN");
    // pipe may still hold messages when the status is known; they go out before the end.
    if (status.code === GrpcStatus.OK && !onward.readableEnded) await new Promise<void>((done) => onward.once("end", () => done()));
    return status;
  } finally {
    context.cancellation.removeEventListener("abort", cancel);
  }
}
