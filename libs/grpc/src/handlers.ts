// grpc-js has one handler shape per call kind; ours are async functions and generators. This file is the bridge: bytes are
// decoded here, so that a malformed message is the caller's INVALID_ARGUMENT and not the server's INTERNAL.

import { once } from "node:events";
import { create, fromBinary, toBinary, type DescMessage } from "@bufbuild/protobuf";
import type { Metadata, ServerDuplexStream, ServerReadableStream, ServerUnaryCall, ServerWritableStream, UntypedHandleCall, sendUnaryData } from "@grpc/grpc-js";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import type { Logger } from "@servable/telemetry";
import { ServedCallContext, abortError, type CallContext, type CallSource, type OwnedContext } from "./call-context.ts";
import { asBuffer, metadataFrom } from "./grpc-js-channel.ts";
import type { MessageMemory } from "./message-memory.ts";
import { methodPath, type UntypedMethod } from "./service.ts";
import { toGrpcStatus } from "./status.ts";
import { startServerSpan, type HeaderGetter } from "./tracing.ts";

/** One ended call, for metrics and usage. */
export interface EndedCall {
  readonly method: string;
  /** "OK" or a gRPC code's name. */
  readonly code: string;
  readonly durationMs: number;
  readonly context: CallContext;
}

/** What every call passes through. */
export interface CallPolicy {
  /** Verifies the caller; throws to refuse. */
  readonly authenticate: ((header: HeaderGetter, method: string) => Identity | undefined | Promise<Identity | undefined>) | undefined;
  readonly onCallEnd: ((call: EndedCall) => void) | undefined;
  /** Bounds the requests that are worked on at once, by their bytes. */
  readonly memory: MessageMemory | undefined;
  readonly logger: Logger | undefined;
}

/** Runs one call under its span, with its caller verified; answers the error to send, or undefined. */
export async function runCall(context: OwnedContext, policy: CallPolicy, work: (context: OwnedContext) => Promise<void>): Promise<StatusError | undefined> {
  const started = performance.now();
  const { method } = context;
  const header: HeaderGetter = (name) => context.header(name);
  const span = startServerSpan(method, header);
  let failure: StatusError | undefined;
  try {
    await span.run(async () => {
      const verified = policy.authenticate?.(header, method);
      // A caller who is known already costs no turn of the event loop.
      context.identity = verified instanceof Promise ? await verified : verified;
      await work(context);
    });
  } catch (error) {
    failure = context.cancellation.aborted && !(error instanceof StatusError) ? abortError(context.cancellation) : StatusError.from(error);
    if (failure.reason === "INTERNAL") {
      span.run(() => policy.logger?.error({ event: "call_failed", method, request_id: context.requestId, err: failure?.cause ?? error }));
    }
  }
  context.finish();
  const code = failure?.code ?? "OK";
  span.end(code);
  policy.onCallEnd?.({ method, code, durationMs: performance.now() - started, context });
  return failure;
}

/** The part of a grpc-js server call that every kind of call has. */
interface AnyServerCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  sendMetadata(metadata: Metadata): void;
  on(event: "cancelled", listener: () => void): unknown;
}

/** The context of a call that grpc-js serves. */
export function contextOf(call: AnyServerCall, method: string): OwnedContext {
  const at = call.getDeadline();
  const source: CallSource = {
    header(name) {
      const value = call.metadata.get(name)[0];
      return typeof value === "string" ? value : undefined;
    },
    metadata: call.metadata,
    deadlineMs: typeof at === "number" ? at : at.getTime(),
    sendHeaders(headers) {
      if (!call.cancelled) call.sendMetadata(metadataFrom(headers));
    },
  };
  const context = new ServedCallContext(source, method);
  // grpc-js says "cancelled" at the end of every call; the context knows better.
  call.on("cancelled", () => context.cancel());
  return context;
}

/** The grpc-js handler of a method. */
export function handlerOf(method: UntypedMethod, policy: CallPolicy): UntypedHandleCall {
  switch (method.desc.methodKind) {
    case "unary":
      return unary(method, policy);
    case "server_streaming":
      return serverStreaming(method, policy);
    case "client_streaming":
      return clientStreaming(method, policy);
    case "bidi_streaming":
      return bidiStreaming(method, policy);
  }
}

function unary(method: UntypedMethod, policy: CallPolicy): UntypedHandleCall {
  const path = methodPath(method.desc);
  return (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
    void runCall(contextOf(call, path), policy, async (context) => {
      const bytes = call.request.length;
      policy.memory?.take(bytes);
      try {
        const answer = await answerUnary(method, call.request, context);
        context.flushHeaders();
        context.finish();
        done(null, answer, trailersOf(context));
      } finally {
        policy.memory?.give(bytes);
      }
    }).then((failure) => failure && done(toGrpcStatus(failure)));
  };
}

/** Runs the handler of a unary method: encoded message in, encoded message out. */
export async function answerUnary({ desc, handle, raw }: UntypedMethod, request: Uint8Array, context: CallContext): Promise<Buffer> {
  return encode(raw ? undefined : desc.output, await handle(decode(raw ? undefined : desc.input, request) as never, context));
}

function trailersOf({ trailers }: OwnedContext): Metadata | undefined {
  return trailers === undefined ? undefined : metadataFrom(trailers);
}

function clientStreaming({ desc, handle, raw }: UntypedMethod, policy: CallPolicy): UntypedHandleCall {
  return (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
    void runCall(contextOf(call, methodPath(desc)), policy, async (context) => {
      const answer = await handle(incoming(raw ? undefined : desc.input, call, context) as never, context);
      context.flushHeaders();
      context.finish();
      done(null, encode(raw ? undefined : desc.output, answer), trailersOf(context));
    }).then((failure) => failure && done(toGrpcStatus(failure)));
  };
}

function serverStreaming({ desc, handle, raw }: UntypedMethod, policy: CallPolicy): UntypedHandleCall {
  return (call: ServerWritableStream<Buffer, Buffer>) => {
    void runCall(contextOf(call, methodPath(desc)), policy, async (context) => {
      await send(raw ? undefined : desc.output, handle(decode(raw ? undefined : desc.input, call.request) as never, context), call, context);
    }).then((failure) => failure && call.emit("error", toGrpcStatus(failure)));
  };
}

function bidiStreaming({ desc, handle, raw }: UntypedMethod, policy: CallPolicy): UntypedHandleCall {
  return (call: ServerDuplexStream<Buffer, Buffer>) => {
    void runCall(contextOf(call, methodPath(desc)), policy, async (context) => {
      await send(raw ? undefined : desc.output, handle(incoming(raw ? undefined : desc.input, call, context) as never, context), call, context);
    }).then((failure) => failure && call.emit("error", toGrpcStatus(failure)));
  };
}

async function* incoming(schema: DescMessage | undefined, call: ServerReadableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>, { cancellation }: CallContext): AsyncGenerator<unknown> {
  // Leaving the loop early must not destroy the call: the answer still has to go out.
  for await (const bytes of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) yield decode(schema, bytes);
  if (cancellation.aborted) throw abortError(cancellation);
}

async function send(schema: DescMessage | undefined, messages: unknown, call: ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>, context: OwnedContext): Promise<void> {
  const iterator = (messages as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  // A generator that waits for news would never hear of a cancellation: whoever is quicker decides.
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(abortError(context.cancellation));
  context.signal.addEventListener("abort", onAbort, { once: true });
  aborted.promise.catch(() => {});
  try {
    context.signal.throwIfAborted();
    context.flushHeaders();
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted.promise]);
      if (next.done === true) break;
      if (!call.write(encode(schema, next.value))) await once(call, "drain", { signal: context.signal });
    }
    context.finish();
    call.end(trailersOf(context));
  } catch (error) {
    // The generator cleans up behind our back; whether that works does not change the answer.
    void Promise.resolve(iterator.return?.()).catch(() => {});
    throw error;
  } finally {
    context.signal.removeEventListener("abort", onAbort);
  }
}

/** Without a schema messages stay encoded. */
function decode(schema: DescMessage | undefined, bytes: Uint8Array): unknown {
  if (schema === undefined) return bytes;
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new StatusError("MESSAGE_MALFORMED", `the request is no valid ${schema.typeName}: check the client's contract`, { cause: error });
  }
}

function encode(schema: DescMessage | undefined, value: unknown): Buffer {
  const bytes = schema === undefined ? (value as Uint8Array) : toBinary(schema, create(schema, value as never));
  return asBuffer(bytes);
}
