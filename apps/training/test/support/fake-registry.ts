import { createHash } from "node:crypto";
import type { Identity } from "@servable/auth";
import { Deployment_State, DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State, type Lineage } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import { implement, internalAuthenticator, startGrpcServer, type ServiceImplementation } from "@servable/grpc";

/** A base model that the fake knows: it reads tokens and answers a vector for each. */
export const ENCODER = "projects/p/models/encoder";

/** A version as the fake keeps it. */
export interface FakeVersion {
  readonly name: string;
  readonly lineage: Lineage | undefined;
  readonly metrics: Readonly<Record<string, number>>;
  readonly servingConfigJson: string;
  readonly creator: Identity | undefined;
  readonly traceparent: string;
  state: ModelVersion_State;
  /** SHA-256 of the uploaded model. */
  sha256: string;
  /** Paths of all files. */
  readonly paths: string[];
}

/** A registry that keeps models in memory: the training service's neighbour, without a process and a database. */
export interface FakeRegistry extends AsyncDisposable {
  readonly address: string;
  readonly versions: FakeVersion[];
  /** Ids of deployments in the order of their making; each is READY at once. */
  readonly deployed: string[];
  /** Set to make calls fail with it. */
  outage: StatusError | undefined;
  /** Set to make FinalizeModelVersion answer FAILED. */
  refuses: boolean;
}

/** Starts it. */
export async function startFakeRegistry(address: string, token: string): Promise<FakeRegistry> {
  const models = new Set<string>();
  const byRequest = new Map<string, FakeVersion>();
  const versions: FakeVersion[] = [];
  const find = (name: string): FakeVersion => versions.find((version) => version.name === name) ?? fail(name);
  const fail = (name: string): never => {
    throw new StatusError("MODEL_VERSION_NOT_FOUND", name);
  };
  const message = ({ name, state }: FakeVersion) => ({ name, state, failureReason: state === ModelVersion_State.FAILED ? "MODEL_NOT_ONNX" : "", failureMessage: "it is no ONNX model" });
  const handlers: Partial<ServiceImplementation<typeof ModelRegistryService>> = {
    getModel({ name }) {
      if (registry.outage !== undefined) throw registry.outage;
      if (name === ENCODER) return { name, latestVersion: 1n };
      if (!models.has(name)) throw new StatusError("MODEL_NOT_FOUND", name);
      return { name };
    },
    getModelVersion({ name }) {
      if (name === `${ENCODER}/versions/1`) return { name, number: 1n, digest: "sha256:encoder", state: ModelVersion_State.READY, signature: { inputs: ["input_ids", "attention_mask"].map((input) => ({ name: input, datatype: "INT64", shape: [-1n, -1n] })), outputs: [{ name: "last_hidden_state", datatype: "FP32", shape: [-1n, -1n, 32n] }] } };
      return message(find(name));
    },
    createModel({ parent, modelId }) {
      models.add(`${parent}/models/${modelId}`);
      return { name: `${parent}/models/${modelId}` };
    },
    createModelVersion({ parent, modelVersion, requestId }, { identity, metadata }) {
      const known = byRequest.get(requestId);
      if (known !== undefined) return message(known);
      const version: FakeVersion = {
        name: `${parent}/versions/${versions.length + 1}`,
        lineage: modelVersion?.lineage,
        metrics: modelVersion?.metrics ?? {},
        servingConfigJson: modelVersion?.servingConfigJson ?? "",
        creator: identity,
        traceparent: String(metadata.get("traceparent")[0] ?? ""),
        state: ModelVersion_State.PENDING,
        sha256: "",
        paths: [],
      };
      versions.push(version);
      byRequest.set(requestId, version);
      return message(version);
    },
    async uploadArtifact(requests) {
      const hash = createHash("sha256");
      let [name, path] = ["", ""];
      for await (const { payload } of requests) {
        if (payload.case === "head") [name, path] = [payload.value.modelVersion, payload.value.path];
        if (payload.case === "chunk") hash.update(payload.value);
      }
      const sha256 = hash.digest("hex");
      find(name).paths.push(path);
      if (path === "model.onnx") find(name).sha256 = sha256;
      return { path, sha256 };
    },
    finalizeModelVersion({ name }) {
      find(name).state = registry.refuses ? ModelVersion_State.FAILED : ModelVersion_State.READY;
      return message(find(name));
    },
  };
  const deployed: string[] = [];
  const deployments: Partial<ServiceImplementation<typeof DeploymentService>> = {
    createDeployment({ parent, deploymentId, deployment }) {
      deployed.push(deploymentId);
      return { name: `${parent}/deployments/${deploymentId}`, model: deployment?.model ?? "" };
    },
    getDeployment: ({ name }) => ({ name, state: Deployment_State.READY }),
  };
  const unexpected = (): never => {
    throw new StatusError("UNIMPLEMENTED", "the training service has no business with this method");
  };
  const implementation = Object.fromEntries(ModelRegistryService.methods.map(({ localName }) => [localName, handlers[localName as keyof typeof handlers] ?? unexpected]));
  const server = await startGrpcServer({
    address,
    services: [implement(DeploymentService, Object.fromEntries(DeploymentService.methods.map(({ localName }) => [localName, deployments[localName as keyof typeof deployments] ?? unexpected])) as unknown as ServiceImplementation<typeof DeploymentService>), implement(ModelRegistryService, implementation as unknown as ServiceImplementation<typeof ModelRegistryService>)],
    authenticate: internalAuthenticator(token),
  });
  const registry: FakeRegistry = { address: server.address, versions, deployed, outage: undefined, refuses: false, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  return registry;
}
