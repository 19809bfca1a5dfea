import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { identityToMetadata, serviceIdentity } from "@servable/auth";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { createChannel, createClient, rawUnary } from "@servable/grpc";
import { tempDir } from "@servable/testing";
import { TestPlatform } from "../../src/test-platform.ts";
import { childrenOf } from "./process-cost.ts";

/** gRPC path of inference. */
export const INFER_PATH = "/inference.GRPCInferenceService/ModelInfer";
const GRPC_HEADERS = { "content-type": "application/grpc", te: "trailers" };

/** A platform with models to measure. */
export interface BenchPlatform extends AsyncDisposable {
  readonly platform: TestPlatform;
  /** Address and headers of a call through the gateway, and of one straight to inference. */
  readonly doors: Readonly<Record<"gateway" | "inference", { readonly address: string; readonly headers: Readonly<Record<string, string>> }>>;
  /** Process ids by name, as they are now. */
  readonly processes: Readonly<Record<"gateway" | "inference" | "engine", () => readonly number[]>>;
  /** The bytes that a right answer has, by one real call. @throws StatusError when the model does not answer */
  answerTo(door: "gateway" | "inference", request: Uint8Array): Promise<Uint8Array>;
}

/** A model to deploy. */
export interface BenchModel {
  readonly bytes: Uint8Array;
  /** ModelConfig as JSON, of the deployment. */
  readonly config?: string;
}

/** Starts a platform, deploys models and waits until they answer. */
export async function startBenchPlatform(models: Readonly<Record<string, BenchModel>>, env: NodeJS.ProcessEnv = {}): Promise<BenchPlatform> {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await TestPlatform.create({ trace: false, env }));
  const directory = stack.use(tempDir());
  for (const [model, { bytes, config }] of Object.entries(models)) {
    const file = join(directory.path, `${model}.onnx`);
    writeFileSync(file, bytes);
    await platform.client.models.importFile({ model, file });
    await platform.client.deployments.deploy({ model, ...(config === undefined ? {} : { servingConfigJson: config }) });
  }
  const gateway = createChannel(platform.platform.grpcAddress);
  stack.defer(() => gateway.close());
  const key = { authorization: `Bearer ${platform.apiKey}` };
  const { replicas } = await createClient(DeploymentService, gateway, { metadata: key }).listReplicas({});
  const replica = createChannel(replicas[0]?.address ?? "");
  stack.defer(() => replica.close());
  const internal = { "servable-token": platform.internalToken, ...identityToMetadata(serviceIdentity("bench")) };
  const pidOf = (name: string) => (): readonly number[] => [platform.platform.pids()[name] ?? 0];
  const doors = {
    gateway: { address: platform.platform.grpcAddress, headers: { ...GRPC_HEADERS, ...key } },
    inference: { address: replica.address, headers: { ...GRPC_HEADERS, ...internal } },
  };
  const all = stack.move();
  return {
    platform,
    doors,
    processes: { gateway: pidOf("gateway"), inference: pidOf("inference-0"), engine: () => childrenOf(pidOf("inference-0")()[0] ?? 0) },
    answerTo: (door, request) => rawUnary(door === "gateway" ? gateway : replica, INFER_PATH, request, { metadata: door === "gateway" ? key : internal }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
