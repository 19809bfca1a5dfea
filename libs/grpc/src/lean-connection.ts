// One HTTP/2 session that takes new calls, and the rules by which it is replaced. It connects with the first call; there
// is no background work: between failed attempts calls fail at once, and the next one after the pause tries again.
//
// I1: at most one session takes new calls; sessions that were told to go away only finish what they have.
// I2: open streams of all sessions together are at most outstandingMax, and every one of them ends with its session.

import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { StatusError } from "@servable/errors";
import { CONNECTION_WINDOW_BYTES, RECONNECT_MS_MAX, RECONNECT_MS_MIN, STREAM_WINDOW_BYTES } from "./channel.ts";
import { unreachable } from "./status.ts";

/** How long an attempt to connect may take. */
const CONNECT_MS_MAX = 5_000;
/** How often a connection with open calls is asked whether it still lives; one silent for two rounds is ended. */
const KEEPALIVE_MS = 20_000;
/** Stream ids end at 2³¹ and only odd ones are ours: a session is replaced long before. */
const STREAMS_PER_SESSION_MAX = 2 ** 29;
/** In megabytes, of node:http2's own bookkeeping; what calls hold is bounded by their number and their message sizes. */
const SESSION_MEMORY_MB_MAX = 4_096;
/** RFC 9113, 6.5.2: what every HTTP/2 peer must be able to take; ours is the least that anybody may ask of us. */
const HEADER_LIST_BYTES_MAX = 64 * 1024;

/** Settings of a connection. */
export interface LeanConnectionOptions {
  readonly address: string;
  /** Calls that may be open at once. */
  readonly outstandingMax: number;
  readonly random: () => number;
  readonly now: () => number;
}

/** Opens streams on a session that comes back by itself. */
export class LeanConnection {
  readonly #options: LeanConnectionOptions;
  #session: ClientHttp2Session | undefined;
  /** All that live, those included that only finish what they have. */
  readonly #sessions = new Set<ClientHttp2Session>();
  #opened = 0;
  #outstanding = 0;
  #failures = 0;
  #retryAtMs = 0;
  #lastError: unknown;
  #closed = false;

  constructor(options: LeanConnectionOptions) {
    this.#options = options;
  }

  /** Streams that are open now. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /**
   * Opens a stream for a request that is written to it.
   *
   * @throws StatusError `SERVICE_UNAVAILABLE` between attempts and after `close`, `QUEUE_FULL` above the bound
   */
  open(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    this.begin();
    let stream: ClientHttp2Stream;
    try {
      stream = this.openUncounted(headers);
    } catch (error) {
      this.end();
      throw error;
    }
    stream.on("close", () => this.end());
    return stream;
  }

  /** Opens a stream that is no call itself: the calls that it carries are counted by {@link begin} and {@link end}. @throws StatusError as `open` */
  openUncounted(headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const session = this.#usable();
    const stream = session.request(headers, { endStream: false });
    if (++this.#opened >= STREAMS_PER_SESSION_MAX) this.#retire(session);
    return stream;
  }

  /** Counts a call in: a process lives while it waits for one. @throws StatusError `QUEUE_FULL` above the bound */
  begin(): void {
    const { outstandingMax } = this.#options;
    if (this.#outstanding >= outstandingMax) {
      throw new StatusError("QUEUE_FULL", `${outstandingMax} calls to one service are open already (outstandingMax): call again later`);
    }
    if (this.#outstanding++ === 0) for (const session of this.#sessions) session.ref();
  }

  /** Counts a call out; an idle connection must not keep a process alive. */
  end(): void {
    if (--this.#outstanding === 0) for (const session of this.#sessions) session.unref();
  }

  /** Takes no more calls; open ones end by themselves. */
  close(): void {
    this.#closed = true;
    if (this.#session !== undefined) this.#retire(this.#session);
  }

  #usable(): ClientHttp2Session {
    if (this.#closed) throw unreachable("the channel was closed");
    const session = this.#session;
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    if (this.#options.now() < this.#retryAtMs) throw unreachable(this.#lastError);
    return (this.#session = this.#connect());
  }

  #connect(): ClientHttp2Session {
    const { address } = this.#options;
    const session = connectHttp2("http://localhost", {
      createConnection: () => socketTo(address),
      settings: { initialWindowSize: STREAM_WINDOW_BYTES, enablePush: false, maxHeaderListSize: HEADER_LIST_BYTES_MAX },
      maxSessionMemory: SESSION_MEMORY_MB_MAX,
    });
    this.#sessions.add(session);
    this.#opened = 0;
    let ready = false;
    let answered = true;
    const connecting = setTimeout(() => session.destroy(new Error(`no connection to ${address} within ${CONNECT_MS_MAX} ms`)), CONNECT_MS_MAX);
    const keepalive = setInterval(() => {
      if (this.#outstanding === 0 || !ready) return;
      if (!answered) return void session.destroy(new Error(`no sign of life from ${address}`));
      answered = false;
      session.ping(() => (answered = true));
    }, KEEPALIVE_MS);
    keepalive.unref();

    session.on("connect", () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    // A listener that takes connections and drops them is no server: only its settings prove one.
    session.once("remoteSettings", () => {
      ready = true;
      this.#failures = 0;
      clearTimeout(connecting);
    });
    session.on("goaway", () => this.#forget(session));
    session.on("error", (error) => (this.#lastError = error));
    session.on("close", () => {
      clearTimeout(connecting);
      clearInterval(keepalive);
      this.#sessions.delete(session);
      this.#forget(session);
      if (!ready) this.#pause();
    });
    return session;
  }

  /** Lets calls fail at once for a while, longer after each failed attempt. Source: gRPC's connection back-off, with full jitter on half. */
  #pause(): void {
    const { now, random } = this.#options;
    const pauseMs = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** this.#failures) * (0.5 + random() / 2);
    this.#failures += 1;
    this.#retryAtMs = now() + pauseMs;
  }

  /** The session finishes its calls and takes no new ones. */
  #retire(session: ClientHttp2Session): void {
    this.#forget(session);
    session.close();
  }

  #forget(session: ClientHttp2Session): void {
    if (this.#session === session) this.#session = undefined;
  }
}

function socketTo(address: string): Socket {
  if (address.startsWith("unix:")) return connectSocket(address.slice("unix:".length));
  const at = address.lastIndexOf(":");
  const socket = connectSocket({ host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) });
  return socket.setNoDelay(true);
}
