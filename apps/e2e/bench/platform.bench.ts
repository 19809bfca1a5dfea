// Cold start of the whole platform, and a tiny model's round trip: straight to inference and through the gateway, beside an
// echo of the same transport in the same run.
// Leaves out: TLS, networks, other machines. Caller and services share the cores.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { identityToMetadata, serviceIdentity } from "@servable/auth";
import { startPlatform } from "@servable/cli";
import { Health } from "@servable/contracts/grpc/health/v1/health";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { createChannel, createClient, rawUnary } from "@servable/grpc";
import { addSubModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";
import { load, summary } from "./measure.ts";

const INFER = "/inference.GRPCInferenceService/ModelInfer";
const COLD_STARTS = 5;

const coldStartsMs: number[] = [];
for (let round = 0; round < COLD_STARTS; round++) {
  using directory = tempDir();
  const started = performance.now();
  await using _platform = await startPlatform({ dataDir: directory.path, grpcPort: 0, httpPort: 0, metricsPort: 0 });
  coldStartsMs.push(performance.now() - started);
}
console.log(`cold start, process start → all four ready, from source: ${summary(coldStartsMs)} of ${COLD_STARTS} (target p50 ≤ 2500 ms)`);

await using platform = await TestPlatform.create({ trace: false });
using directory = tempDir();
const file = join(directory.path, "simple.onnx");
writeFileSync(file, addSubModel());
await platform.client.models.importFile({ model: "simple", file });
await platform.client.deployments.deploy({ model: "simple" });

const key = { authorization: `Bearer ${platform.apiKey}` };
const gateway = createChannel(platform.platform.grpcAddress);
const { replicas } = await createClient(DeploymentService, gateway, { metadata: key }).listReplicas({});
const replica = createChannel(replicas[0]?.address ?? "", { token: platform.internalToken });
const health = createClient(Health, gateway);

const bytes = new Uint8Array(new Int32Array(16).fill(1).buffer);
const request = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName: "simple", inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1n, 16n] })), rawInputContents: [bytes, bytes] }));
const json = JSON.stringify({ instances: [{ INPUT0: Array<number>(16).fill(1), INPUT1: Array<number>(16).fill(1) }] });
const calls = {
  "gRPC health check of the gateway (transport alone)": () => health.check({ service: "" }),
  "ModelInfer straight to inference": () => rawUnary(replica, INFER, request, { metadata: identityToMetadata(serviceIdentity("bench")) }),
  "ModelInfer through the gateway": () => rawUnary(gateway, INFER, request, { metadata: key }),
  "JSON predict through the gateway": () => platform.fetch("/v1/models/simple:predict", { method: "POST", body: json }).then((answer) => answer.arrayBuffer()),
};
for (const concurrency of [1, 32]) {
  let baseline: number | undefined;
  for (const [name, call] of Object.entries(calls)) {
    await load(call, concurrency, 300); // warm-up
    const { durationsMs, perSecond } = await load(call, concurrency, concurrency === 1 ? 1_500 : 6_000);
    baseline ??= perSecond;
    console.log(`concurrency ${concurrency}: ${name}: ${perSecond.toFixed(0)}/s (${(perSecond / baseline).toFixed(2)} of the transport), ${summary(durationsMs)}`);
  }
}
gateway.close();
replica.close();
