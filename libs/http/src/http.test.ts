import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { StatusError } from "@servable/errors";
import { parseJson, startHttpServer, type HttpServer } from "./index.ts";

describe("HTTP server", () => {
  let server: HttpServer;
  let holding = 0;
  const released = Promise.withResolvers<void>();
  before(async () => {
    server = await startHttpServer({
      host: "127.0.0.1",
      port: 0,
      portVariable: "SERVABLE_HTTP_PORT",
      bodyBytesMax: 1000,
      heldBytesMax: 2500,
      routes: (app) => {
        app.post("/echo", async (request) => ({ got: parseJson(request.body as Buffer | undefined) ?? null }));
        app.post("/hold", async (request) => {
          holding++;
          await released.promise;
          return { bytes: (request.body as Buffer).length };
        });
        app.get("/missing", async () => {
          throw new StatusError("MODEL_NOT_FOUND", "no such model", { metadata: { model: "m" } });
        });
        app.get("/defect", async () => {
          throw new TypeError("secret detail");
        });
      },
    });
  });
  after(() => server[Symbol.asyncDispose]());
  const call = (path: string, init?: RequestInit) => fetch(`http://${server.address}${path}`, init);
  const reasonOf = async (response: Response): Promise<string> => ((await response.json()) as { error: { reason: string } }).error.reason;

  it("takes JSON without a content type, plain and compressed, and no body at all", async () => {
    const body = new Blob([JSON.stringify({ a: 1 })]);
    assert.deepEqual(await (await call("/echo", { method: "POST", body })).json(), { got: { a: 1 } });
    assert.deepEqual(await (await call("/echo", { method: "POST", body: gzipSync('{"a":2}'), headers: { "content-encoding": "gzip" } })).json(), { got: { a: 2 } });
    assert.deepEqual(await (await call("/echo", { method: "POST" })).json(), { got: null });
  });

  it("answers errors with the status of their reason", async () => {
    const missing = await call("/missing");
    assert.equal(missing.status, 404);
    assert.deepEqual(await missing.json(), { error: { message: "no such model", reason: "MODEL_NOT_FOUND", code: "NOT_FOUND", metadata: { model: "m" } } });

    const defect = await call("/defect");
    assert.equal(defect.status, 500);
    assert.doesNotMatch(await defect.text(), /secret/);
    assert.equal((await call("/nowhere")).status, 404);
  });

  const bad = [
    { what: "malformed JSON", body: "{", headers: {}, status: 400, reason: "JSON_MALFORMED" },
    { what: "a body above the limit", body: "x".repeat(2000), headers: {}, status: 413, reason: "MESSAGE_TOO_LARGE" },
    { what: "a body that unpacks above the limit", body: gzipSync("x".repeat(100_000)), headers: { "content-encoding": "gzip" }, status: 413, reason: "MESSAGE_TOO_LARGE" },
    { what: "broken gzip", body: "nonsense", headers: { "content-encoding": "gzip" }, status: 400, reason: "MESSAGE_MALFORMED" },
    { what: "broken gzip whose content type is none", body: "nonsense", headers: { "content-encoding": "gzip", "content-type": "x" }, status: 400, reason: "MESSAGE_MALFORMED" },
    { what: "an unknown encoding", body: "x", headers: { "content-encoding": "br" }, status: 400, reason: "FIELD_INVALID" },
  ];
  for (const { what, body, headers, status, reason } of bad) {
    it(`refuses ${what}`, async () => {
      const response = await call("/echo", { method: "POST", body, headers });

      assert.equal(response.status, status);
      assert.equal(await reasonOf(response), reason);
    });
  }

  it("reads a body whatever its content type says", async () => {
    for (const type of ["x", "multipart/form-data", "application/json; charset=utf-16", ""]) {
      assert.deepEqual(await (await call("/echo", { method: "POST", body: new Blob(['{"a":1}']), headers: { "content-type": type } })).json(), { got: { a: 1 } }, type);
    }
  });

  it("refuses a body that no longer fits beside those in flight, and takes it when they have gone", async () => {
    const held = [1, 2].map(() => call("/hold", { method: "POST", body: "x".repeat(1_000) }));
    while (holding < 2) await new Promise((resolve) => setImmediate(resolve));

    const refused = await call("/echo", { method: "POST", body: `"${"x".repeat(900)}"` });
    assert.equal(refused.status, 503);
    assert.equal(await reasonOf(refused), "QUEUE_FULL");

    released.resolve();
    assert.deepEqual(await Promise.all(held.map(async (each) => (await each).json())), [{ bytes: 1_000 }, { bytes: 1_000 }]);
    assert.equal((await call("/echo", { method: "POST", body: `"${"x".repeat(900)}"` })).status, 200);
  });

  const unreadable = [
    { what: "a hundred thousand headers", bytes: `GET / HTTP/1.1\r\nhost: x\r\n${"a: b\r\n".repeat(100_000)}\r\n`, status: 431 },
    { what: "a header of ten megabytes", bytes: `GET / HTTP/1.1\r\nhost: x\r\na: ${"b".repeat(10_000_000)}\r\n\r\n`, status: 431 },
    { what: "bytes that are no HTTP", bytes: "\xff".repeat(1_000), status: 400 },
    { what: "a chunk of more bytes than there are", bytes: "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx", status: 400 },
    { what: "two lengths", bytes: "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", status: 400 },
    { what: "a length beyond the limit", bytes: "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\nx", status: 413 },
  ];
  for (const { what, bytes, status } of unreadable) {
    it(`answers ${what} with ${status}`, async () => {
      const socket = connect(Number(server.address.split(":").at(-1)), "127.0.0.1");
      socket.end(Buffer.from(bytes, "latin1"));
      const parts: Buffer[] = [];
      for await (const part of socket) parts.push(part as Buffer);

      assert.match(Buffer.concat(parts).toString(), new RegExp(`^HTTP/1\\.1 ${status} `));
    });
  }

  it("goes on serving when callers leave in the middle of a body", async () => {
    for (let count = 0; count < 50; count++) {
      const socket = connect(Number(server.address.split(":").at(-1)), "127.0.0.1");
      socket.write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n".padEnd(600, "x"));
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.destroy();
    }

    assert.deepEqual(await (await call("/echo", { method: "POST", body: `"${"x".repeat(900)}"` })).json(), { got: "x".repeat(900) });
  });

  it("names the variable when the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };

    await assert.rejects(startHttpServer({ host: "127.0.0.1", port, portVariable: "SERVABLE_HTTP_PORT", routes: () => {} }), (error: unknown) => error instanceof StatusError && error.reason === "PORT_IN_USE" && /SERVABLE_HTTP_PORT/.test(error.message));
    taken.close();
  });
});
