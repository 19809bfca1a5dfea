import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BillingService } from "@servable/contracts/billing/v1/billing";
import { TasksService } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import { createClient } from "@servable/grpc";
import { startTestGateway, withKey, type TestGateway } from "./gateway.ts";

let gateway: TestGateway;
before(async () => (gateway = await startTestGateway()));
after(() => gateway[Symbol.asyncDispose]());
const post = async (path: string, body: RequestInit["body"], headers: Record<string, string> = {}): Promise<{ status: number; json: unknown; headers: Headers }> => {
  const response = await gateway.http(path, { method: "POST", ...(body !== undefined && { body }), headers });
  return { status: response.status, json: await response.json(), headers: response.headers };
};
const JSON_TYPE = { "content-type": "application/json" };
const asJson = (value: unknown): string => JSON.stringify(value);
const picture = Buffer.from([0xff, 0xd8, 0xff, 1, 2]);

describe("ready-made tasks over REST", () => {
  const form = (field: string): FormData => {
    const data = new FormData();
    data.set("model", "simple");
    data.set("top_k", "3");
    data.set(field, new Blob([picture]), "cat.jpg");
    return data;
  };
  const forms: { what: string; ask: () => ReturnType<typeof post> }[] = [
    { what: "as the body", ask: () => post("/v1/tasks/classify-image?model=simple&top_k=3", picture, { "content-type": "image/jpeg" }) },
    { what: "as the body without a type", ask: () => post("/v1/tasks/classify-image?model=simple&top_k=3", picture) },
    { what: "as the body that a tool calls a form", ask: () => post("/v1/tasks/classify-image?model=simple&top_k=3", picture, { "content-type": "application/x-www-form-urlencoded" }) },
    { what: "in a form", ask: () => post("/v1/tasks/classify-image", form("image")) },
    { what: "in a form as the file", ask: () => post("/v1/tasks/classify-image", form("file")) },
    { what: "in base64", ask: () => post("/v1/tasks/classify-image", asJson({ model: "simple", image: picture.toString("base64"), top_k: 3 }), JSON_TYPE) },
    { what: "in base64 behind a data URL", ask: () => post("/v1/tasks/classify-image", asJson({ model: "simple", image: `data:image/jpeg;base64,${picture.toString("base64")}`, top_k: 3 })) },
  ];
  for (const { what, ask } of forms) {
    it(`take a picture ${what}`, async () => {
      const { status, json } = await ask();

      assert.equal(status, 200);
      assert.deepEqual(json, { model: "simple", model_version: "1", labels: [{ label: "5 bytes", probability: 0.1, index: 3 }] });
    });
  }

  it("take recordings, texts and pages", async () => {
    assert.deepEqual((await post("/v1/tasks/detect-speech?model=simple&threshold=0.5", picture)).json, { model: "simple", model_version: "1", segments: [{ start_ms: 0, end_ms: 5, probability: 0.5 }], audio_ms: 9, speech_ms: 1 });
    assert.deepEqual((await post("/v1/tasks/read-text?model=simple", picture)).json, { model: "simple", model_version: "1", text: "5", lines: [{ text: "a", probability: 0.5, corners: [{ x: 1, y: 2 }] }] });
    const results = [{ labels: [{ label: "hello", probability: 1, index: 0 }], token_count: 2, truncated: false }];
    assert.deepEqual((await post("/v1/tasks/classify-text", asJson({ model: "simple", texts: ["hello"] }))).json, { model: "simple", model_version: "1", results });
    assert.deepEqual((await post("/v1/tasks/classify-text?model=simple", "hello", { "content-type": "text/plain" })).json, { model: "simple", model_version: "1", results });
    assert.deepEqual((await post("/v1/tasks/embed-text", asJson({ model: "simple", text: "a b", dimensions: 2 }))).json, { model: "simple", model_version: "1", embeddings: [{ values: [2, 0.1], token_count: 2, truncated: false }] });
  });

  const wrong: { what: string; path: string; body?: RequestInit["body"]; headers?: Record<string, string>; status: number; reason: string; field?: string }[] = [
    { what: "no model", path: "/v1/tasks/classify-image", body: picture, status: 400, reason: "FIELD_REQUIRED", field: "model" },
    { what: "no picture", path: "/v1/tasks/classify-image?model=simple", status: 400, reason: "FIELD_REQUIRED", field: "image" },
    { what: "an empty picture", path: "/v1/tasks/classify-image", body: asJson({ model: "simple", image: "" }), status: 400, reason: "FIELD_REQUIRED", field: "image" },
    { what: "no base64", path: "/v1/tasks/classify-image", body: asJson({ model: "simple", image: "***" }), status: 400, reason: "FIELD_INVALID", field: "image" },
    { what: "a misspelt field", path: "/v1/tasks/classify-image?model=simple&topk=1", body: picture, status: 400, reason: "FIELD_INVALID", field: "topk" },
    { what: "half a label", path: "/v1/tasks/classify-image?model=simple&top_k=1.5", body: picture, status: 400, reason: "FIELD_INVALID", field: "top_k" },
    { what: "no number", path: "/v1/tasks/detect-speech?model=simple&threshold=high", body: picture, status: 400, reason: "FIELD_INVALID", field: "threshold" },
    { what: "no texts", path: "/v1/tasks/classify-text", body: asJson({ model: "simple" }), status: 400, reason: "FIELD_REQUIRED", field: "texts" },
    { what: "a number among texts", path: "/v1/tasks/classify-text", body: asJson({ model: "simple", texts: ["a", 5] }), status: 400, reason: "FIELD_INVALID", field: "texts[1]" },
    { what: "broken JSON", path: "/v1/tasks/classify-text", body: '{"model": ', headers: JSON_TYPE, status: 400, reason: "JSON_MALFORMED" },
    { what: "a broken form", path: "/v1/tasks/classify-image", body: "--x\r\nnonsense", headers: { "content-type": "multipart/form-data; boundary=x" }, status: 400, reason: "MESSAGE_MALFORMED" },
    { what: "an unknown model", path: "/v1/tasks/classify-image?model=nobody", body: picture, status: 404, reason: "MODEL_NOT_FOUND" },
    { what: "more than one call takes", path: "/v1/tasks/classify-image?model=simple", body: Buffer.alloc(2 * 1024 ** 2), status: 413, reason: "MESSAGE_TOO_LARGE" },
  ];
  for (const { what, path, body, headers, status, reason, field } of wrong) {
    it(`refuse ${what}`, async () => {
      const answer = await post(path, body, headers);
      const { error } = answer.json as { error: { reason: string; metadata: Record<string, string> } };

      assert.deepEqual([answer.status, error.reason, error.metadata["field"]], [status, reason, field]);
    });
  }

  it("refuse callers without a key", async () => {
    assert.equal((await post("/v1/tasks/classify-image?model=simple", picture, { "x-api-key": "wrong" })).status, 401);
  });
});

describe("ready-made tasks over gRPC", () => {
  it("reach the replica with the caller's identity, and are recorded by texts", async () => {
    const tasks = createClient(TasksService, gateway.channel, withKey());
    gateway.replica.calls.length = 0;

    const { results } = await tasks.classifyText({ model: "simple", texts: ["a", "b", "c"] });
    await assert.rejects(tasks.classifyImage({ model: "nobody", image: picture }), (error: unknown) => error instanceof StatusError && error.reason === "MODEL_NOT_FOUND");

    assert.equal(results.length, 3);
    assert.deepEqual(gateway.replica.calls.map(({ method, model, identity }) => [method, model, identity?.project]), [["ClassifyText", "simple", "default"]]);
    const { usageRecords } = await createClient(BillingService, gateway.channel, withKey()).listUsageRecords({ parent: "projects/default", pageSize: 2 });
    assert.deepEqual(usageRecords.map(({ operation, model, unitCount, outcome }) => [operation, model, unitCount, outcome]), [["ClassifyImage", "nobody", 0n, "NOT_FOUND"], ["ClassifyText", "simple", 3n, "OK"]]);
  });
});

describe("OpenAI's embeddings", () => {
  const embed = (body: unknown) => post("/v1/embeddings", asJson(body), JSON_TYPE);
  const vector = (count: number): Buffer => {
    const bytes = Buffer.alloc(12);
    [count, 0.1, -1].forEach((value, index) => bytes.writeFloatLE(value, index * 4));
    return bytes;
  };

  it("come as numbers, with their tokens counted", async () => {
    const { status, json, headers } = await embed({ model: "simple", input: "two words", user: "somebody" });

    assert.equal(status, 200);
    assert.deepEqual(json, { object: "list", data: [{ object: "embedding", index: 0, embedding: [2, 0.1, -1] }], model: "simple", usage: { prompt_tokens: 2, total_tokens: 2 } });
    assert.ok(headers.get("x-request-id"));
  });

  const inputs: { what: string; input: unknown; counts: number[] }[] = [
    { what: "a list of texts", input: ["a", "a b c"], counts: [1, 3] },
    { what: "tokens", input: [5, 6, 7], counts: [3] },
    { what: "lists of tokens", input: [[5], [6, 7]], counts: [1, 2] },
  ];
  for (const { what, input, counts } of inputs) {
    it(`of ${what} come as base64 of little-endian floats, as SDKs ask`, async () => {
      const { json } = await embed({ model: "simple", input, encoding_format: "base64" });
      const { data, usage } = json as { data: { index: number; embedding: string }[]; usage: { prompt_tokens: number } };

      assert.deepEqual(data.map(({ index, embedding }) => [index, embedding]), counts.map((count, index) => [index, vector(count).toString("base64")]));
      assert.equal(usage.prompt_tokens, counts.reduce((sum, count) => sum + count));
    });
  }

  it("may be shortened", async () => {
    assert.deepEqual(((await embed({ model: "simple", input: "a", dimensions: 2 })).json as { data: { embedding: number[] }[] }).data[0]?.embedding, [1, 0.1]);
  });

  const wrong: { what: string; body: unknown; status: number; type: string; param: string | null; code: string | null }[] = [
    { what: "no input", body: { model: "simple" }, status: 400, type: "invalid_request_error", param: "input", code: null },
    { what: "an empty text", body: { model: "simple", input: "" }, status: 400, type: "invalid_request_error", param: "input", code: null },
    { what: "an empty list", body: { model: "simple", input: [] }, status: 400, type: "invalid_request_error", param: "input", code: null },
    { what: "texts and tokens mixed", body: { model: "simple", input: ["a", 5] }, status: 400, type: "invalid_request_error", param: "input", code: null },
    { what: "fractions of tokens", body: { model: "simple", input: [1.5] }, status: 400, type: "invalid_request_error", param: "input", code: null },
    { what: "too many texts", body: { model: "simple", input: Array(2_049).fill("a") }, status: 400, type: "invalid_request_error", param: "input", code: null },
    { what: "a text that is too long", body: { model: "simple", input: "a b c d e" }, status: 400, type: "invalid_request_error", param: "input", code: "context_length_exceeded" },
    { what: "no model", body: { input: "a" }, status: 400, type: "invalid_request_error", param: "model", code: null },
    { what: "an unknown model", body: { model: "nobody", input: "a" }, status: 404, type: "invalid_request_error", param: "model", code: "model_not_found" },
    { what: "another encoding", body: { model: "simple", input: "a", encoding_format: "hex" }, status: 400, type: "invalid_request_error", param: "encoding_format", code: null },
    { what: "no dimensions", body: { model: "simple", input: "a", dimensions: 0 }, status: 400, type: "invalid_request_error", param: "dimensions", code: null },
    { what: "more dimensions than there are", body: { model: "simple", input: "a", dimensions: 4 }, status: 400, type: "invalid_request_error", param: "dimensions", code: null },
    { what: "no object", body: [], status: 400, type: "invalid_request_error", param: null, code: null },
  ];
  for (const { what, body, status, type, param, code } of wrong) {
    it(`are refused with ${what}, in OpenAI's form`, async () => {
      const answer = await embed(body);
      const { error } = answer.json as { error: Record<string, unknown> };

      assert.deepEqual([answer.status, error["type"], error["param"], error["code"]], [status, type, param, code]);
      assert.equal(typeof error["message"], "string");
    });
  }

  it("are refused without a key, in OpenAI's form", async () => {
    const { status, json } = await post("/v1/embeddings", asJson({ model: "simple", input: "a" }), { "x-api-key": "wrong", ...JSON_TYPE });

    assert.equal(status, 401);
    assert.equal((json as { error: { code: string } }).error.code, "invalid_api_key");
  });
});

describe("OpenAI's models", () => {
  it("are listed and read, and unknown ones are not found", async () => {
    const list = (await (await gateway.http("/v1/models")).json()) as { object: string; data: { id: string; object: string }[] };
    const missing = await gateway.http("/v1/models/nobody");

    assert.ok(list.data.some(({ id, object }) => id === "simple" && object === "model"));
    assert.equal(((await (await gateway.http("/v1/models/simple")).json()) as { id: string }).id, "simple");
    assert.equal(missing.status, 404);
    assert.equal(((await missing.json()) as { error: { code: string } }).error.code, "model_not_found");
  });
});
