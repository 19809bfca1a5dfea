import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { ADMIN_KEY, startTestGateway, type TestGateway } from "./gateway.ts";

describe("Open Inference Protocol over REST", () => {
  let gateway: TestGateway;
  before(async () => (gateway = await startTestGateway()));
  after(() => gateway[Symbol.asyncDispose]());
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) => gateway.http(path, { method: "POST", body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body), headers });
  const values = Array.from({ length: 16 }, (_, index) => index);
  const input = (name: string) => ({ name, datatype: "INT32", shape: [1, 16], data: values });
  const simple = { inputs: [input("INPUT0"), input("INPUT1")] };

  it("says who it is, with the replicas' extensions", async () => {
    assert.deepEqual(await (await gateway.http("/v2")).json(), { name: "triton", version: "0.1.0", extensions: ["binary_tensor_data", "model_repository", "system_shared_memory", "statistics"] });
  });

  it("writes 64-bit counters as numbers with all digits", async () => {
    assert.match(await (await gateway.http("/v2/models/simple/stats")).text(), /"last_inference":9007199254740993,/);
  });

  it("answers configuration in Triton's JSON", async () => {
    const config = (await (await gateway.http("/v2/models/simple/versions/1/config")).json()) as Record<string, unknown>;

    assert.equal(config["name"], "simple");
    assert.equal(config["max_batch_size"], 8);
  });

  it("infers from nested and from flat data, and echoes the id", async () => {
    const nested = { id: "7", inputs: [{ ...input("INPUT0"), data: [values] }, input("INPUT1")], outputs: [{ name: "OUTPUT0" }] };

    const answer = await post("/v2/models/simple/versions/1/infer?any=thing", nested);

    assert.equal(answer.headers.get("content-type")?.split(";")[0], "application/json");
    assert.deepEqual(await answer.json(), { model_name: "simple", model_version: "1", id: "7", outputs: [{ name: "OUTPUT0", datatype: "INT32", shape: [1, 16], data: values.map((value) => 2 * value) }] });
  });

  it("keeps all digits of 64-bit tensors", async () => {
    const answer = await gateway.http("/v2/models/echo64/infer", { method: "POST", body: '{"inputs":[{"name":"x","datatype":"INT64","shape":[1,2],"data":[9223372036854775807,-9007199254740993]}]}' });

    assert.match(await answer.text(), /"data":\[9223372036854775807,-9007199254740993\]/);
  });

  for (const [encoding, pack, unpack] of [["gzip", gzipSync, gunzipSync], ["deflate", deflateSync, inflateSync]] as const) {
    it(`takes and gives ${encoding}, JSON and binary together`, async () => {
      const wide = { inputs: [...Array(1).keys()].flatMap(() => ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [20, 16], data: Array.from({ length: 20 }, () => values) }))), parameters: { binary_data_output: true } };

      const { headers, body } = await rawPost(gateway, "/v2/models/simple/infer", pack(JSON.stringify(wide)), { "content-encoding": encoding, "accept-encoding": encoding });

      assert.equal(headers["content-encoding"], encoding);
      const plain = unpack(body);
      const jsonLength = Number(headers["inference-header-content-length"]);
      const json = JSON.parse(plain.subarray(0, jsonLength).toString()) as { outputs: { parameters: { binary_data_size: number } }[] };
      assert.deepEqual(json.outputs.map(({ parameters }) => parameters.binary_data_size), [1280, 1280]);
      assert.equal(plain.length - jsonLength, 2560);
      assert.equal(plain.readInt32LE(jsonLength + 4), 2);
    });
  }

  it("takes a body of nothing but tensor bytes", async () => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64LE(5n, 8);

    const answer = await post("/v2/models/echo64/infer", bytes, { "inference-header-content-length": "0" });

    const body = Buffer.from(await answer.arrayBuffer());
    assert.equal(answer.status, 200, body.toString());
    assert.deepEqual(body.subarray(Number(answer.headers.get("inference-header-content-length"))), bytes);
  });

  it("loads and unloads, and a call right behind sees it", async () => {
    const body = JSON.stringify({ parameters: { unload_dependents: false } });

    assert.equal((await gateway.http("/v2/repository/models/simple_string/unload", { method: "POST", body })).status, 200);
    assert.equal((await gateway.http("/v2/models/simple_string/ready")).status, 400);
    assert.equal((await gateway.http("/v2/repository/models/simple_string/load", { method: "POST" })).status, 200);
    assert.equal((await gateway.http("/v2/models/simple_string/ready")).status, 200);
  });

  it("lists the repository as a bare list, for a request without a body", async () => {
    const index = (await (await gateway.http("/v2/repository/index", { method: "POST" })).json()) as { name: string; state: string }[];

    assert.deepEqual(index[0], { name: "simple", version: "1", state: "READY", reason: "" });
  });

  /** 123 inside so many lists. */
  const nested = (depth: number): unknown => Array.from({ length: depth }).reduce((inner: unknown) => [inner], 123);

  it("takes data that nests deeper than its shape, within bounds", async () => {
    const answer = await post("/v2/models/echo64/infer", { inputs: [{ name: "x", datatype: "INT64", shape: [1, 1], data: nested(50) }] });

    assert.equal(answer.status, 200, await answer.text());
  });

  const refused = [
    { what: "an unknown model", path: "/v2/models/nowhere/infer", body: simple, status: 404, message: /^Request for unknown model: 'nowhere' is not found$/ },
    { what: "an unknown version", path: "/v2/models/simple/versions/99/infer", body: simple, status: 404, message: /^Request for unknown model: 'simple' version 99 is not found$/ },
    { what: "a version that is no number", path: "/v2/models/simple/versions/v10", body: undefined, status: 400, message: /failed to get model version from specified version string 'v10'/ },
    { what: "malformed JSON", path: "/v2/models/simple/infer", body: Buffer.from("{"), status: 400, message: /no valid JSON/ },
    { what: "a negative dimension", path: "/v2/models/simple/infer", body: { inputs: [{ ...input("INPUT0"), shape: [-1, 16] }] }, status: 400, message: /Unable to parse 'shape'/ },
    { what: "a huge product of dimensions", path: "/v2/models/simple/infer", body: { inputs: [{ ...input("INPUT0"), shape: [2 ** 40, 2 ** 12] }] }, status: 400, message: /causes total element count to exceed maximum size of/ },
    { what: "too few values", path: "/v2/models/simple/infer", body: { inputs: [{ ...input("INPUT0"), data: [1] }] }, status: 400, message: /INPUT0.*takes 16 values, got 1/ },
    { what: "an unknown datatype", path: "/v2/models/simple/infer", body: { inputs: [{ ...input("INPUT0"), datatype: "INT31" }] }, status: 400, message: /INT31/ },
    { what: "an output named twice", path: "/v2/models/simple/infer", body: { ...simple, outputs: [{ name: "OUTPUT0" }, { name: "OUTPUT0" }] }, status: 400, message: /output 'OUTPUT0' already exists in request/ },
    { what: "an index flag that is no boolean", path: "/v2/repository/index", body: { ready: "yes" }, status: 400, message: /Invalid value for 'ready': expected a boolean/ },
    { what: "an index flag that nests without end", path: "/v2/repository/index", body: Buffer.from(`{"ready":${"[".repeat(1_000)}true${"]".repeat(1_000)}}`), status: 400, message: /Invalid value for 'ready': expected a boolean/ },
    { what: "a raw text for a model of many", path: "/v2/models/simple_identity/infer", body: Buffer.from("427"), headers: { "inference-header-content-length": "0" }, status: 400, message: /For BYTE datatype raw input 'INPUT0', the model must have input shape \[1\]/ },
    { what: "a raw body for two inputs", path: "/v2/models/simple/infer", body: Buffer.alloc(64), headers: { "inference-header-content-length": "0" }, status: 400, message: /Raw request must only have 1 input \(found 1\) to be deduced but got 2 inputs in/ },
    { what: "a header length beyond the body", path: "/v2/models/simple/infer", body: simple, headers: { "inference-header-content-length": "99999" }, status: 400, message: /Inference-Header-Content-Length/ },
    { what: "a path that is not there", path: "/v2/nothing", body: undefined, status: 404, message: /^Not Found$/ },
    { what: "elements that 64 bits cannot count", path: "/v2/models/simple/infer", body: Buffer.from('{"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[16,1152921504606846978],"data":[1]}]}'), status: 400, message: /^input 'INPUT0': shape \[16,1152921504606846978\] causes total element count to exceed maximum size of/ },
    { what: "bytes that 64 bits cannot count", path: "/v2/models/simple/infer", body: Buffer.from('{"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[4,1152921504606846978],"data":[1]}]}'), status: 400, message: /byte size overflow for input 'INPUT0'/ },
    { what: "lists 120 deep", path: "/v2/models/simple/infer", body: { inputs: [{ ...input("INPUT0"), data: nested(120) }] }, status: 400, message: /JSON nesting depth exceeds maximum allowed limit \(100\)/ },
    { what: "a million open brackets", path: "/v2/models/simple/infer", body: Buffer.from("[".repeat(900_000)), status: 400, message: /JSON nesting depth exceeds/ },
    { what: "not-a-number in JSON", path: "/v2/models/simple/infer", body: Buffer.from('{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[NaN]}]}'), status: 400, message: /no valid JSON/ },
    { what: "a number beyond its datatype", path: "/v2/models/simple/infer", body: { inputs: [{ name: "INPUT0", datatype: "UINT8", shape: [1], data: [300] }] }, status: 400, message: /INPUT0.*300 does not fit UINT8/ },
    { what: "FP16 in JSON", path: "/v2/models/simple/infer", body: { inputs: [{ name: "INPUT0", datatype: "FP16", shape: [1], data: [1] }] }, status: 400, message: /FP16 data via JSON is not supported/ },
    { what: "BF16 in JSON", path: "/v2/models/simple/infer", body: { inputs: [{ name: "INPUT0", datatype: "BF16", shape: [1], data: [1] }] }, status: 400, message: /BF16 data via JSON is not supported/ },
    { what: "data in two places", path: "/v2/models/simple/infer", body: { inputs: [{ ...input("INPUT0"), parameters: { shared_memory_region: "r", shared_memory_byte_size: 64 } }] }, status: 400, message: /both data and a shared memory region/ },
    { what: "a parameter beyond 64 bits", path: "/v2/models/simple/infer", body: Buffer.from('{"inputs":[{"name":"INPUT0","datatype":"INT32","shape":[1],"parameters":{"shared_memory_region":"r","shared_memory_byte_size":18446744073709551584}}]}'), status: 400, message: /Integer overflow detected: byte_size 18446744073709551584/ },
    { what: "an input named twice", path: "/v2/models/simple/infer", body: { inputs: [input("INPUT0"), input("INPUT0")] }, status: 400, message: /input 'INPUT0' already exists in request/ },
    { what: "a body above the limit", path: "/v2/models/simple/infer", body: Buffer.alloc(2 * 1024 * 1024, " "), status: 413, message: /request JSON size.* exceeds the maximum allowed input size\. / },
  ];
  for (const { what, path, body, status, message, headers = {} } of refused) {
    it(`refuses ${what}`, async () => {
      const answer = body === undefined ? await gateway.http(path) : await post(path, body, headers);

      const { error } = (await answer.json()) as { error: string };
      assert.match(error, message);
      assert.equal(answer.status, status);
    });
  }

  it("refuses bytes that belong to no input, and fewer than stated", async () => {
    const json = Buffer.from(JSON.stringify({ inputs: [{ ...input("INPUT0"), data: undefined, parameters: { binary_data_size: 64 } }] }));
    const headers = { "inference-header-content-length": String(json.length) };

    const more = await post("/v2/models/simple/infer", Buffer.concat([json, Buffer.alloc(65)]), headers);
    const fewer = await post("/v2/models/simple/infer", Buffer.concat([json, Buffer.alloc(63)]), headers);

    assert.match(await more.text(), /unexpected additional input data for model 'simple'/);
    assert.match(await fewer.text(), /only 63 bytes are left/);
  });
});

/** A request whose answer is not unpacked on the way. */
async function rawPost(gateway: TestGateway, path: string, body: Buffer, headers: Record<string, string>): Promise<{ headers: Record<string, unknown>; body: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ headers: Record<string, unknown>; body: Buffer }>();
  const call = httpRequest(`http://${gateway.server.httpAddress}${path}`, { method: "POST", headers: { ...headers, "x-api-key": ADMIN_KEY } }, (response) => {
    void response.toArray().then((chunks: Buffer[]) => resolve({ headers: response.headers, body: Buffer.concat(chunks) }), reject);
  });
  call.on("error", reject).end(body);
  return promise;
}
