import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { GRPCInferenceService, ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError, type Reason } from "@servable/errors";
import { createClient } from "@servable/grpc";
import { simpleRequest, startFakeReplica, type FakeReplica } from "./fakes.ts";
import { startTestGateway, withKey, type TestGateway } from "./gateway.ts";

const request = () => fromBinary(ModelInferRequestSchema, simpleRequest());

describe("a model that moves while it is called", () => {
  let gateway: TestGateway;
  let other: FakeReplica;
  before(async () => {
    gateway = await startTestGateway();
    other = await startFakeReplica();
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });
  /** Publishes a table and waits until the gateway goes by it. */
  const move = async (replica: FakeReplica): Promise<void> => {
    gateway.registry.publish({ simple: [replica.address] });
    const before = replica.calls.length;
    while (replica.calls.length === before) await client().modelReady({ name: "simple" }, withKey());
  };
  beforeEach(async () => {
    gateway.replica.failWith = undefined;
    other.failWith = undefined;
    await move(gateway.replica);
  });
  const client = () => createClient(GRPCInferenceService, gateway.channel);
  const infer = () => client().modelInfer(request(), withKey());

  const refusals: { reason: Reason; message: string }[] = [
    { reason: "MODEL_NOT_FOUND", message: "Request for unknown model: 'simple' is not found" },
    { reason: "MODEL_NOT_READY", message: "'simple' version 1 is not ready (UNLOADING)" },
    { reason: "SHUTTING_DOWN", message: "the server is stopping" },
  ];
  for (const { reason, message } of refusals) {
    it(`is found where the next table says when a replica answers ${reason}`, async () => {
      gateway.replica.failWith = new StatusError(reason, message);

      const answer = infer();
      setTimeout(() => gateway.registry.publish({ simple: [other.address] }), 20);

      assert.equal((await answer).outputs[0]?.name, "OUTPUT0");
    });
  }

  it("is asked for again of the same replica when that has it again", async () => {
    gateway.replica.failWith = new StatusError("MODEL_NOT_READY", "'simple' version 1 is not ready (UNLOADING)");

    const answer = infer();
    setTimeout(() => {
      gateway.replica.failWith = undefined;
      gateway.registry.publish({ simple: [gateway.replica.address] });
    }, 20);

    assert.equal((await answer).outputs[0]?.name, "OUTPUT0");
  });

  it("gives the replica's own words when no table says better", async () => {
    gateway.replica.failWith = new StatusError("MODEL_NOT_READY", "'simple' version 1 is not ready (FAILED: broken)");

    await assert.rejects(infer(), (error) => error instanceof StatusError && error.reason === "MODEL_NOT_READY" && error.message.includes("FAILED: broken"));
  });

  it("runs once: what a model answered is never asked again", async () => {
    gateway.replica.failWith = new StatusError("INFERENCE_FAILED", "no");
    const before = gateway.replica.calls.length;

    await assert.rejects(infer(), (error) => error instanceof StatusError && error.reason === "INFERENCE_FAILED");

    assert.equal(gateway.replica.calls.length, before + 1);
  });

  it("takes the requests of an open stream with it", async () => {
    const answered = Promise.withResolvers<void>();
    async function* requests() {
      yield request();
      await answered.promise;
      await move(other);
      yield request();
    }
    const before = other.calls.length;
    let answers = 0;
    for await (const { errorMessage } of client().modelStreamInfer(requests(), withKey())) {
      assert.equal(errorMessage, "");
      answers += 1;
      answered.resolve();
    }

    assert.equal(answers, 2);
    assert.ok(other.calls.slice(before).some(({ method }) => method === "ModelStreamInfer"));
  });
});
