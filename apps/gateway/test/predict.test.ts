import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startTestGateway, type TestGateway } from "./gateway.ts";

describe("predict", () => {
  let gateway: TestGateway;
  before(async () => (gateway = await startTestGateway()));
  after(() => gateway[Symbol.asyncDispose]());
  const post = async (path: string, body: unknown) => {
    const response = await gateway.http(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, text, json: JSON.parse(text) as { error?: { reason: string; message: string } } & Record<string, unknown> };
  };
  const ones = Array<number>(16).fill(1);
  const twos = Array<number>(16).fill(2);
  const threes = Array<number>(16).fill(3);

  const answered = [
    {
      what: "rows of named values as rows of named outputs",
      path: "/v1/models/score:predict",
      body: { instances: [{ age: 30, island: "Dream" }, { age: null, island: null }] },
      want: { predictions: [{ probabilities: [0.1, 0.9], label: "adult" }, { probabilities: [0.5, 0.5], label: "unknown" }] },
    },
    {
      what: "columns",
      path: "/v1/models/score:predict",
      body: { inputs: { age: [30, null], island: ["Dream", "Biscoe"] } },
      want: { predictions: [{ probabilities: [0.1, 0.9], label: "adult" }, { probabilities: [0.5, 0.5], label: "unknown" }] },
    },
    { what: "vectors", path: "/v1/models/simple/versions/1:predict", body: { instances: [{ INPUT0: ones, INPUT1: twos }] }, want: { predictions: [{ OUTPUT0: threes, OUTPUT1: ones.map(() => -1) }] } },
    { what: "one example of a model with one input, as a plain number", path: "/v1/models/sigmoid:predict", body: { input_data: [[0.25, 0], [0, 0]] }, want: { prediction: 0.25 } },
    { what: "several examples where input_data has the batch dimension", path: "/v1/models/sigmoid:predict", body: { input_data: [[[0.25, 0], [0, 0]], [[0.5, 0], [0, 0]]] }, want: { prediction: [0.25, 0.5] } },
    { what: "one example with named values", path: "/v1/models/score:predict", body: { input_data: { age: 3, island: "Dream" } }, want: { prediction: { probabilities: [0.1, 0.9], label: "adult" } } },
    { what: "bare values for a model with one input", path: "/v1/models/sigmoid:predict", body: { instances: [[[0.1, 0], [0, 0]]] }, want: { predictions: [0.1] } },
    { what: "bytes that are no text as base64", path: "/v1/models/simple_identity:predict", body: { instances: [[{ b64: "/w==" }, "é"]] }, want: { predictions: [[{ b64: "/w==" }, "é"]] } },
    { what: "the model named in the body", path: "/predict", body: { model: "sigmoid", input_data: [[1, 0], [0, 0]] }, want: { prediction: 1 } },
  ];
  for (const { what, path, body, want } of answered) {
    it(`answers ${what}`, async () => {
      const { json, status } = await post(path, body);

      assert.equal(status, 200, JSON.stringify(json));
      assert.deepEqual(json, want);
    });
  }

  it("keeps all digits of 64-bit integers", async () => {
    const { text } = await post("/v1/models/echo64:predict", '{"instances": [[9007199254740993, -9223372036854775808]]}');

    assert.equal(text, '{"predictions":[[9007199254740993,-9223372036854775808]]}');
  });

  const refused = [
    { what: "an unknown model", path: "/v1/models/nowhere:predict", body: { instances: [1] }, status: 404, reason: "MODEL_NOT_FOUND", message: /nowhere/ },
    { what: "an unknown version", path: "/v1/models/score/versions/9:predict", body: { instances: [1] }, status: 404, reason: "MODEL_VERSION_NOT_FOUND", message: /version 9/ },
    { what: "malformed JSON", path: "/v1/models/score:predict", body: "{", status: 400, reason: "JSON_MALFORMED", message: /no valid JSON/ },
    { what: "no body", path: "/v1/models/score:predict", body: "", status: 400, reason: "JSON_MALFORMED", message: /JSON/ },
    { what: "a body without examples", path: "/v1/models/score:predict", body: {}, status: 400, reason: "FIELD_REQUIRED", message: /"instances"/ },
    { what: "an empty list", path: "/v1/models/score:predict", body: { instances: [] }, status: 400, reason: "FIELD_INVALID", message: /at least one/ },
    { what: "a text for a number", path: "/v1/models/score:predict", body: { instances: [{ age: 1, island: "a" }, { age: "x", island: "a" }] }, status: 400, reason: "DATATYPE_MISMATCH", message: /instances\[1\]\.age/ },
    { what: "a wrong shape", path: "/v1/models/simple:predict", body: { instances: [{ INPUT0: [1, 2], INPUT1: ones }] }, status: 400, reason: "SHAPE_MISMATCH", message: /instances\[0\]\.INPUT0.*\[2\].*\[16\]/ },
    { what: "ragged lists", path: "/v1/models/sigmoid:predict", body: { instances: [[[1], [1, 2]]] }, status: 400, reason: "SHAPE_MISMATCH", message: /ragged/ },
    { what: "a missing input", path: "/v1/models/score:predict", body: { instances: [{ age: 1 }] }, status: 400, reason: "INPUT_MISSING", message: /instances\[0\].*"island"/ },
    { what: "an input that the model does not have", path: "/v1/models/score:predict", body: { instances: [{ age: 1, island: "", tail: 2 }] }, status: 400, reason: "INPUT_UNEXPECTED", message: /"tail"/ },
    { what: "bare values for several inputs", path: "/v1/models/score:predict", body: { instances: [3] }, status: 400, reason: "DATATYPE_MISMATCH", message: /age, island/ },
    { what: "null for an integer", path: "/v1/models/simple:predict", body: { instances: [{ INPUT0: [null, ...ones.slice(1)], INPUT1: ones }] }, status: 400, reason: "DATATYPE_MISMATCH", message: /INPUT0/ },
    { what: "an integer out of range", path: "/v1/models/simple:predict", body: { instances: [{ INPUT0: [2 ** 40, ...ones.slice(1)], INPUT1: ones }] }, status: 400, reason: "VALUE_OUT_OF_RANGE", message: /INT32/ },
    { what: "no model named among several", path: "/predict", body: { input_data: 1 }, status: 400, reason: "FIELD_REQUIRED", message: /score, sigmoid/ },
    { what: "another verb behind the colon", path: "/v1/models/score:explain", body: {}, status: 404, reason: "ROUTE_UNKNOWN", message: /:predict/ },
    { what: "a body above the limit", path: "/predict", body: { pad: "x".repeat(1_100_000) }, status: 413, reason: "MESSAGE_TOO_LARGE", message: /maximum/ },
  ];
  for (const { what, path, body, status, reason, message } of refused) {
    it(`refuses ${what}`, async () => {
      const { json, status: got } = await post(path, body);

      assert.equal(json.error?.reason, reason, JSON.stringify(json));
      assert.equal(got, status);
      assert.match(json.error?.message ?? "", message);
    });
  }

  it("takes the only model where one is deployed, and says so where there is none", async () => {
    await using own = await startTestGateway();
    const body = JSON.stringify({ input_data: [[0.5, 0], [0, 0]] });
    own.registry.publish({ sigmoid: [own.replica.address] });
    await waitFor(async () => (await (await own.http("/v1/models")).json() as { data: unknown[] }).data.length === 1);

    assert.deepEqual(await (await own.http("/predict", { method: "POST", body })).json(), { prediction: 0.5 });

    own.registry.publish({});
    await waitFor(async () => (await (await own.http("/v1/models")).json() as { data: unknown[] }).data.length === 0);
    assert.equal((await own.http("/predict", { method: "POST", body })).status, 404);
  });

  it("names the right verb for a wrong one", async () => {
    const response = await gateway.http("/predict");

    assert.equal(response.status, 405);
    assert.match(await response.text(), /use POST/);
  });
});

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
