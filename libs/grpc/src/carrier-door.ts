// The server's side of servable.transport.v1.CallCarrierService: unary calls that come as messages on one long stream. Each passes
// through what every call passes through: verification, context, span, log and usage.

import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Metadata, status as GrpcStatus } from "@grpc/grpc-js";
import { StatusError } from "@servable/errors";
import { ANSWER_BYTES_KEY } from "./call-carrier.ts";
import { ServedCallContext, type CallSource } from "./call-context.ts";
import { BATCH_BYTES_MAX, BatchWriter, readCalls, type CarriedCall } from "./carried-messages.ts";
import { answerUnary, runCall, type CallPolicy } from "./handlers.ts";
import { TIMER_MS_MAX } from "./deadline.ts";
import { MessageReader, messageTooLarge } from "./message-frame.ts";
import type { UntypedMethod } from "./service.ts";
import { DETAILS_KEY, toGrpcStatus } from "./status.ts";

/** Calls of one stream that may be under way; it is one of our own services, so this is a defect's bound, not a quota. */
const CALLS_MAX = 20_000;
/** Answers that wait for a slow client before its calls have to wait too. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
const NO_BYTES = new Uint8Array();

/** A unary method and what its calls pass through. */
interface CarriedMethod {
  readonly method: UntypedMethod;
  readonly policy: CallPolicy;
}

/** The carriers of a server. */
export interface CarrierDoor {
  /** Serves a stream of calls. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  /** Asks the clients to go elsewhere with new calls; streams end after their last answer. */
  drain(): void;
}

/** Serves carried calls of the given methods, by path. */
export function createCarrierDoor(served: ReadonlyMap<string, CarriedMethod>, receiveBytesMax: number): CarrierDoor {
  const carriers = new Set<ServedCarrier>();
  return {
    serve(stream, headers) {
      const carrier = new ServedCarrier(stream, headers, served, receiveBytesMax);
      carriers.add(carrier);
      stream.on("close", () => carriers.delete(carrier));
    },
    drain() {
      for (const carrier of carriers) carrier.drain();
    },
  };
}

class ServedCarrier {
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #served: ReadonlyMap<string, CarriedMethod>;
  readonly #receiveBytesMax: number;
  readonly #answerBytesMax: number;
  readonly #batch = new BatchWriter();
  readonly #calls = new Map<number, () => void>();
  #scheduled = false;
  #inputEnded = false;
  #ended = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, served: ReadonlyMap<string, CarriedMethod>, receiveBytesMax: number) {
    this.#stream = stream;
    this.#headers = headers;
    this.#served = served;
    this.#receiveBytesMax = receiveBytesMax;
    const announced = Number(headers[ANSWER_BYTES_KEY]);
    this.#answerBytesMax = announced > 0 ? announced : receiveBytesMax;
    const reader = new MessageReader(receiveBytesMax + 2 * BATCH_BYTES_MAX, (batch) => readCalls(batch, this.#begin, (id) => this.#calls.get(id)?.()));
    stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch {
        // Not one of ours; whatever it had under way is given up with it.
        stream.close();
      }
    });
    stream.on("end", () => {
      this.#inputEnded = true;
      this.#schedule();
    });
    stream.on("drain", () => stream.resume());
    stream.on("error", () => {});
    stream.on("close", () => {
      this.#ended = true;
      for (const cancel of this.#calls.values()) cancel();
      this.#calls.clear();
      stream.removeAllListeners();
    });
  }

  drain(): void {
    this.#batch.addDraining();
    this.#schedule();
  }

  readonly #begin = (carried: CarriedCall): void => {
    const { id, path, message, timeoutMs } = carried;
    const found = this.#served.get(path);
    if (found === undefined) return this.#refuse(id, new StatusError("METHOD_UNKNOWN", `The server does not implement the method ${path}`));
    if (this.#calls.size >= CALLS_MAX) return this.#refuse(id, new StatusError("QUEUE_FULL", `${CALLS_MAX} calls of one connection are under way already: call again later`));
    if (message.length > this.#receiveBytesMax) return this.#refuse(id, messageTooLarge(message.length, this.#receiveBytesMax));
    const { method, policy } = found;
    const context = new ServedCallContext(new CarriedSource(carried, this.#headers), path);
    const timer = timeoutMs > 0 && timeoutMs <= TIMER_MS_MAX ? setTimeout(() => context.cancel(), timeoutMs) : undefined;
    this.#calls.set(id, () => context.cancel());
    let heldBytes = 0;
    void runCall(context, policy, async () => {
      policy.memory?.take(message.length);
      heldBytes = message.length;
      const answer = await answerUnary(method, message, context);
      context.finish();
      if (this.#calls.delete(id)) this.#answer(id, answer);
    }).then((failure) => {
      policy.memory?.give(heldBytes);
      clearTimeout(timer);
      if (failure !== undefined && this.#calls.delete(id)) this.#refuse(id, failure);
      else this.#endWhenIdle();
    });
  };

  #answer(id: number, message: Uint8Array): void {
    if (message.length > this.#answerBytesMax) return this.#refuse(id, messageTooLarge(message.length, this.#answerBytesMax));
    this.#batch.addAnswer({ id, status: GrpcStatus.OK, statusMessage: "", statusDetails: undefined, message });
    if (this.#batch.full) this.#flush();
    else this.#schedule();
  }

  #refuse(id: number, error: StatusError): void {
    const { code, details, metadata } = toGrpcStatus(error);
    const bytes = metadata.get(DETAILS_KEY)[0];
    this.#batch.addAnswer({ id, status: code, statusMessage: details, statusDetails: typeof bytes === "string" ? undefined : bytes, message: NO_BYTES });
    this.#schedule();
  }

  #endWhenIdle(): void {
    if (this.#inputEnded) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#ended || this.#stream.writableEnded) return;
    if (!this.#batch.empty && !this.#stream.write(this.#batch.take()) && this.#stream.writableLength > WAITING_BYTES_MAX) this.#stream.pause();
    if (this.#inputEnded && this.#calls.size === 0) this.#stream.end();
  };
}

/** The wire's side of one carried call: its own headers, then those of its stream. */
class CarriedSource implements CallSource {
  readonly deadlineMs: number;
  readonly #carried: CarriedCall;
  readonly #shared: IncomingHttpHeaders;

  constructor(carried: CarriedCall, shared: IncomingHttpHeaders) {
    this.#carried = carried;
    this.#shared = shared;
    this.deadlineMs = carried.timeoutMs > 0 ? Date.now() + carried.timeoutMs : Infinity;
  }

  header(name: string): string | undefined {
    const { headers } = this.#carried;
    for (let index = 0; index < headers.length; index += 2) if (headers[index] === name) return headers[index + 1];
    const shared = this.#shared[name];
    return typeof shared === "string" ? shared : undefined;
  }

  get metadata(): Metadata {
    const metadata = Metadata.fromHttp2Headers(this.#shared);
    const { headers } = this.#carried;
    for (let index = 0; index + 1 < headers.length; index += 2) metadata.set(headers[index] ?? "", headers[index + 1] ?? "");
    return metadata;
  }

  sendHeaders(): void {
    // An answer is its message: nobody on the other side reads headers of one.
  }
}
