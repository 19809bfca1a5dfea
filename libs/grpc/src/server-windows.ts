// A server of grpc-js takes 64 KiB per stream and per connection before it makes the client wait, and has no option for
// more (grpc-node pull request 3058 is open). That costs large tensors half of their rate, and 64 concurrent callers of
// 3 KB a p99 of 80 ms instead of 10. So we reach into two of its private fields; on a version without them nothing
// breaks, only the speed is lost.

import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from "./channel.ts";

/** What grpc-js 1.14 has behind its types. */
interface ServerInternals {
  commonServerOptions?: { settings?: Record<string, unknown> };
  _setupHandlers?: (http2Server: Http2Server, ...rest: unknown[]) => void;
}

/** Raises the receive windows of a server that does not listen yet; answers whether this grpc-js can be told. */
export function raiseWindows(server: Server): boolean {
  const internals = server as unknown as ServerInternals;
  const { commonServerOptions, _setupHandlers: setupHandlers } = internals;
  if (typeof commonServerOptions !== "object" || typeof setupHandlers !== "function") return false;
  commonServerOptions.settings = { ...commonServerOptions.settings, initialWindowSize: STREAM_WINDOW_BYTES };
  internals._setupHandlers = function (http2Server, ...rest) {
    http2Server.on("session", (session: ServerHttp2Session) => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    setupHandlers.call(server, http2Server, ...rest);
  };
  return true;
}
