import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { StatusError } from "@servable/errors";
import { parseJson, startHttpServer, type HttpServer } from "./index.ts";

describe("HTTP server", () => {
  let server: HttpServer;
  before(async () => {
    server = await startHttpServer({
      host: "127.0.0.1",
      port: 0,
      portVariable: "SERVABLE_HTTP_PORT",
      bodyBytesMax: 1000,
      routes: (app) => {
        app.post("/echo", async (request) => ({ got: parseJson(request.body as Buffer | undefined) ?? null }));
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

  it("names the variable when the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };

    await assert.rejects(startHttpServer({ host: "127.0.0.1", port, portVariable: "SERVABLE_HTTP_PORT", routes: () => {} }), (error: unknown) => error instanceof StatusError && error.reason === "PORT_IN_USE" && /SERVABLE_HTTP_PORT/.test(error.message));
    taken.close();
  });
});
