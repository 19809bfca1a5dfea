import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Settings } from "node:http2";
import { it } from "node:test";
import { Server } from "@grpc/grpc-js";
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from "./channel.ts";
import { startGrpcServer } from "./index.ts";
import { raiseWindows } from "./server-windows.ts";

it("offers clients windows that hold a tensor, per stream and per connection", async () => {
  await using server = await startGrpcServer({ address: "127.0.0.1:0", services: [], drainMs: 100 });
  const session = connect(`http://${server.address}`);

  const [settings] = (await once(session, "remoteSettings")) as [Settings];
  while ((session.state.remoteWindowSize ?? 0) < CONNECTION_WINDOW_BYTES) await new Promise((resolve) => setTimeout(resolve, 5));

  assert.equal(settings.initialWindowSize, STREAM_WINDOW_BYTES);
  session.close();
});

it("leaves a grpc-js alone that has other insides", () => {
  const other = Object.assign(Object.create(Server.prototype) as Server, { commonServerOptions: undefined, _setupHandlers: undefined });

  assert.equal(raiseWindows(other), false);
});
