import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { startTestGateway, type TestGateway } from "./gateway.ts";

describe("generate", () => {
  let gateway: TestGateway;
  before(async () => (gateway = await startTestGateway()));
  afterEach(() => (gateway.replica.failWith = undefined));
  after(() => gateway[Symbol.asyncDispose]());
  const call = (path: string, body: unknown) => gateway.http(`/v2/models/${path}`, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  const eventsOf = (text: string): unknown[] => text.split("\n\n").filter((line) => line !== "").map((line) => JSON.parse(line.replace(/^data: /, "")) as unknown);

  it("answers one object with the outputs by name", async () => {
    const answer = await call("simple_identity/generate", { id: "7", INPUT0: "hello", temperature: 1, parameters: { top: true } });

    assert.match(answer.headers.get("content-type") ?? "", /application\/json/);
    assert.deepEqual(await answer.json(), { id: "7", model_name: "simple_identity", model_version: "1", OUTPUT0: "hello" });
  });

  it("takes lists for inputs, and keeps all digits", async () => {
    const answer = await call("echo64/versions/1/generate", '{"x":[1,9007199254740993]}');

    assert.match(await answer.text(), /"y":\[1,9007199254740993\]/);
  });

  it("streams answers as events", async () => {
    const answer = await call("simple_identity/generate_stream", { INPUT0: ["a", "b"] });

    assert.equal(answer.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.deepEqual(eventsOf(await answer.text()), [{ model_name: "simple_identity", model_version: "1", OUTPUT0: ["a", "b"] }]);
  });

  it("says what failed before the run as a plain error, and in the run as an event", async () => {
    const early = await call("simple_identity/generate_stream", { INPUT0: 5 });
    assert.equal(early.status, 400);
    assert.match(((await early.json()) as { error: string }).error, /attempt to access JSON non-string as string/);

    gateway.replica.failWith = new StatusError("INFERENCE_FAILED", "the graph refused");
    const late = await call("simple_identity/generate_stream", { INPUT0: "a" });
    assert.equal(late.status, 400);
    assert.deepEqual(eventsOf(await late.text()), [{ error: "the graph refused" }]);
  });

  const refused = [
    { what: "an input named twice", body: '{"INPUT0":"a","INPUT0":"b"}', message: /input 'INPUT0' already exists in request/ },
    { what: "an object for an input", body: { INPUT0: { a: 1 } }, message: /non-string as string/ },
    { what: "an object for a parameter", body: { INPUT0: "a", PARAMS: { a: 1 } }, message: /parameter 'PARAMS' has invalid type/ },
    { what: "a body that is no object", body: [], message: /must be a JSON object/ },
  ];
  for (const { what, body, message } of refused) {
    it(`refuses ${what}`, async () => {
      const answer = await call("simple_identity/generate", body);

      assert.equal(answer.status, 400);
      assert.match(((await answer.json()) as { error: string }).error, message);
    });
  }

  it("knows no other method", async () => {
    assert.equal((await gateway.http("/v2/models/simple_identity/generate")).status, 405);
  });
});
