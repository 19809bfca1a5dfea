// A gRPC client on node:http2 without what a hop between two of our own services does not need: resolvers, balancers,
// interceptors, metadata objects. nghttp2 does flow control, GOAWAY and header compression; the rest of the contract
// (deadline, cancellation, reconnection, bounds, statuses) is here and in lean-call.ts and lean-connection.ts.

import type { ClientHttp2Stream } from "node:http2";
import { IDENTITY_METADATA } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { ANSWER_BYTES_KEY, CARRY_PATH, CallCarrier } from "./call-carrier.ts";
import { MESSAGE_BYTES_MAX, type Channel, type ChannelOptions, type OutgoingCall } from "./channel.ts";
import { LeanCall, requestHeaders } from "./lean-call.ts";
import { LeanConnection } from "./lean-connection.ts";
import { frameOf } from "./message-frame.ts";
import { startUpload } from "./upload.ts";

/** Calls that may be open at once on one channel. */
const OUTSTANDING_MAX = 10_000;
/** Answers of one stream that may wait for their reader before the server is made to wait. */
const QUEUED_MESSAGES_MAX = 16;

/** What a lean channel needs to know. */
export interface LeanChannelOptions extends ChannelOptions {
  /** Calls that may be open at once; more are refused with `QUEUE_FULL`. @default 10000 */
  readonly outstandingMax?: number | undefined;
  /** Whether small unary calls share one long stream, where the server can do that (call-carrier.ts). @default false */
  readonly carriesCalls?: boolean | undefined;
}

/** Opens a lean channel to "host:port" or "unix:/path"; it connects with the first call. Plain text only. */
export function createLeanChannel(address: string, options: LeanChannelOptions = {}): Channel {
  const { token, timeoutMs, receiveBytesMax = MESSAGE_BYTES_MAX, outstandingMax = OUTSTANDING_MAX, carriesCalls = false } = options;
  const connection = new LeanConnection({ address, outstandingMax, random: Math.random, now: Date.now });
  const authority = address.startsWith("unix:") ? "localhost" : address;
  const open = (call: OutgoingCall): ClientHttp2Stream => connection.open(requestHeaders(call, authority, Date.now()));
  const shared: Record<string, string> = token === undefined ? {} : { [IDENTITY_METADATA.token]: token };
  const carrier = new CallCarrier({
    open: () => connection.openUncounted(requestHeaders({ path: CARRY_PATH, headers: { ...shared, [ANSWER_BYTES_KEY]: String(receiveBytesMax) }, deadlineMs: undefined, signal: undefined }, authority, Date.now())),
    begin: () => connection.begin(),
    end: () => connection.end(),
    receiveBytesMax,
    shared,
  });
  return {
    address,
    token,
    timeoutMs,
    unary: (call, request) =>
      new Promise((resolve, reject) => {
        const alone = (): void => startUnary({ open, call, request, receiveBytesMax, resolve, reject, mayRepeat: true });
        if (carriesCalls && carrier.takes(request.length)) carrier.start(call, request, { resolve, reject, refused: alone });
        else alone();
      }),
    stream: (call, requests) => stream(open, call, requests, receiveBytesMax),
    close: () => {
      carrier.close();
      connection.close();
    },
  };
}

type Open = (call: OutgoingCall) => ClientHttp2Stream;

interface UnaryStart {
  readonly open: Open;
  readonly call: OutgoingCall;
  readonly request: Uint8Array;
  readonly receiveBytesMax: number;
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
  /** Whether a stream that the server refused untouched is opened once more. Source: gRFC A6, transparent retries. */
  readonly mayRepeat: boolean;
}

function startUnary(start: UnaryStart): void {
  const { open, call, request, receiveBytesMax, resolve, reject } = start;
  let answer: Buffer | undefined;
  let leanCall: LeanCall;
  try {
    leanCall = new LeanCall(open(call), call, receiveBytesMax, {
      message(message) {
        if (answer === undefined) answer = message;
        else leanCall.fail(new StatusError("INTERNAL", "the server gave more than one answer"));
      },
      end(error) {
        if (error === undefined) {
          if (answer === undefined) reject(new StatusError("INTERNAL", "the server gave no answer"));
          else resolve(answer);
        } else if (start.mayRepeat && leanCall.refused) startUnary({ ...start, mayRepeat: false });
        else reject(error);
      },
    });
  } catch (error) {
    // A throw inside a promise's executor would do the same, but a repeated call runs outside of it.
    reject(error);
    return;
  }
  leanCall.stream.end(frameOf(request));
}

async function* stream(open: Open, call: OutgoingCall, requests: AsyncIterable<Uint8Array>, receiveBytesMax: number): AsyncGenerator<Uint8Array> {
  const queue: Buffer[] = [];
  let end: { error: StatusError | undefined } | undefined;
  let uploadFailure: unknown;
  let wake: (() => void) | undefined;
  const http2Stream = open(call);
  const leanCall = new LeanCall(http2Stream, call, receiveBytesMax, {
    message(message) {
      queue.push(message);
      if (queue.length >= QUEUED_MESSAGES_MAX) http2Stream.pause();
      wake?.();
    },
    end(error) {
      end = { error };
      wake?.();
    },
  });
  const stopUpload = startUpload(requests, {
    // What is written to a call that is over goes nowhere, as it should.
    write: (message) => leanCall.ended || http2Stream.write(frameOf(message)),
    drained: () =>
      new Promise((resolve) => {
        const done = (): void => {
          http2Stream.off("drain", done).off("close", done);
          resolve();
        };
        http2Stream.on("drain", done).on("close", done);
      }),
    end: () => http2Stream.end(),
    fail(error) {
      uploadFailure = error;
      leanCall.fail(StatusError.from(error));
    },
  });
  try {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) {
        if (queue.length < QUEUED_MESSAGES_MAX && http2Stream.isPaused()) http2Stream.resume();
        yield next;
      } else if (end !== undefined) {
        if (uploadFailure !== undefined) throw StatusError.from(uploadFailure);
        if (end.error !== undefined) throw end.error;
        return;
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    stopUpload();
    leanCall.fail(new StatusError("CANCELLED", "the reader left the stream"));
    // Answered before all was sent: the rest is not wanted.
    if (!http2Stream.closed) http2Stream.close();
  }
}
