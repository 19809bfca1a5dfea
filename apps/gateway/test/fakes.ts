import { create, toBinary } from "@bufbuild/protobuf";
import { serviceIdentity, type Identity } from "@servable/auth";
import { GRPCInferenceService, ModelInferRequestSchema, type ModelInferRequest } from "@servable/contracts/open-inference/grpc_service";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import { implement, internalAuthenticator, startGrpcServer, type CallContext, type GrpcServer, type ServiceImplementation } from "@servable/grpc";
import { decodeBytesElements, elementsOf, encodeBytesElements, tensorOf, type Datatype } from "@servable/tensor";
import { fakeTasks } from "./fake-tasks.ts";

export const TOKEN = "test-token";

/** A model of the fake replica: computes raw outputs from raw inputs. */
export interface FakeModel {
  readonly inputs: readonly { name: string; datatype: Datatype; shape: readonly number[] }[];
  readonly outputs: readonly { name: string; datatype: Datatype; shape: readonly number[] }[];
  run(inputs: readonly Uint8Array[], shapes: readonly (readonly number[])[]): { shape: readonly number[]; data: Uint8Array }[];
}

const both = (datatype: Datatype, names: readonly string[], shape: readonly number[]) => names.map((name) => ({ name, datatype, shape }));

/** Triton's `simple` family. */
export const MODELS: Readonly<Record<string, FakeModel>> = {
  simple: {
    inputs: both("INT32", ["INPUT0", "INPUT1"], [-1, 16]),
    outputs: both("INT32", ["OUTPUT0", "OUTPUT1"], [-1, 16]),
    run: (inputs, [shape = []]) => {
      const [a = [], b = []] = inputs.map((data) => elementsOf({ datatype: "INT32", shape, data }) as number[]);
      return [a.map((x, i) => x + (b[i] ?? 0)), a.map((x, i) => x - (b[i] ?? 0))].map((values) => ({ shape, data: tensorOf("INT32", shape, values).data }));
    },
  },
  simple_string: {
    inputs: both("BYTES", ["INPUT0", "INPUT1"], [-1, 16]),
    outputs: both("BYTES", ["OUTPUT0", "OUTPUT1"], [-1, 16]),
    run: (inputs, [shape = []]) => {
      const [a = [], b = []] = inputs.map((data) => decodeBytesElements(data, 16).map((text) => Number(Buffer.from(text).toString())));
      return [a.map((x, i) => x + (b[i] ?? 0)), a.map((x, i) => x - (b[i] ?? 0))].map((values) => ({ shape, data: encodeBytesElements(values.map((value) => Buffer.from(String(value)))) }));
    },
  },
  simple_identity: {
    inputs: both("BYTES", ["INPUT0"], [-1, -1]),
    outputs: both("BYTES", ["OUTPUT0"], [-1, -1]),
    run: ([data = new Uint8Array()], [shape = []]) => [{ shape, data }],
  },
  echo64: { inputs: both("INT64", ["x"], [-1, 2]), outputs: both("INT64", ["y"], [-1, 2]), run: ([data = new Uint8Array()], [shape = []]) => [{ shape, data }] },
  score: {
    inputs: [...both("FP32", ["age"], [-1, 1]), ...both("BYTES", ["island"], [-1, 1])],
    outputs: [...both("FP32", ["probabilities"], [-1, 2]), ...both("BYTES", ["label"], [-1])],
    run: ([ages = new Uint8Array()], [[count = 0] = []]) => {
      const values = elementsOf({ datatype: "FP32", shape: [count, 1], data: ages }) as number[];
      return [
        { shape: [count, 2], data: tensorOf("FP32", [count, 2], values.flatMap((age) => (Number.isNaN(age) ? [0.5, 0.5] : [0.1, 0.9]))).data },
        { shape: [count], data: encodeBytesElements(values.map((age) => Buffer.from(Number.isNaN(age) ? "unknown" : "adult"))) },
      ];
    },
  },
  sigmoid: {
    inputs: both("FP32", ["pixels"], [-1, 2, 2]),
    outputs: both("FP32", ["p"], [-1, 1]),
    run: ([data = new Uint8Array()], [[count = 0] = []]) => {
      const values = elementsOf({ datatype: "FP32", shape: [count, 2, 2], data }) as number[];
      return [{ shape: [count, 1], data: tensorOf("FP32", [count, 1], Array.from({ length: count }, (_, row) => values[row * 4] ?? 0)).data }];
    },
  },
};

/** A replica that computes the models above and notes who called what. */
export interface FakeReplica extends AsyncDisposable {
  readonly address: string;
  readonly calls: { method: string; model: string; identity: Identity | undefined; requestId: string; deadline: Date | undefined }[];
  /** Registered shared memory. */
  readonly regions: Map<string, { name: string; key: string; offset: bigint; byteSize: bigint }>;
  /** Answers the next calls with this error. */
  failWith: StatusError | undefined;
  /** Holds ModelInfer until the caller goes away. */
  hang: boolean;
  /** Resolves at the next cancelled call. */
  cancelled: Promise<void>;
}

export async function startFakeReplica(onLoad: (method: string, model: string) => void = () => {}): Promise<FakeReplica> {
  const cancelled = Promise.withResolvers<void>();
  const note = (context: CallContext, model: string): void => {
    replica.calls.push({ method: context.method.split("/").at(-1) ?? "", model, identity: context.identity, requestId: context.requestId, deadline: context.deadline });
    if (replica.failWith !== undefined) throw replica.failWith;
  };
  const modelOf = (name: string): FakeModel => {
    const model = MODELS[name];
    if (model === undefined) throw new StatusError("MODEL_NOT_FOUND", `Request for unknown model: '${name}' is not found`);
    return model;
  };
  const infer = (request: ModelInferRequest) => {
    const model = modelOf(request.modelName);
    const all = model.run(request.rawInputContents, request.inputs.map(({ shape }) => shape.map(Number)));
    const wanted = model.outputs.map((output, index) => ({ ...output, result: all[index] })).filter(({ name }) => request.outputs.length === 0 || request.outputs.some((output) => output.name === name));
    return {
      modelName: request.modelName,
      modelVersion: "1",
      id: request.id,
      outputs: wanted.map(({ name, datatype, result }) => ({ name, datatype, shape: (result?.shape ?? []).map(BigInt) })),
      rawOutputContents: wanted.map(({ result }) => result?.data ?? new Uint8Array()),
    };
  };
  const unused = async (): Promise<never> => {
    throw new StatusError("UNIMPLEMENTED", "not in the fake");
  };
  const implementation: ServiceImplementation<typeof GRPCInferenceService> = {
    serverLive: unused,
    serverReady: unused,
    serverMetadata: async () => ({ name: "replica", version: "9", extensions: ["statistics"] }),
    modelReady: async ({ name }, context) => (note(context, name), { ready: true }),
    modelMetadata: async ({ name }, context) => {
      note(context, name);
      const header = ({ name, datatype, shape }: FakeModel["inputs"][number]) => ({ name, datatype, shape: shape.map(BigInt) });
      return { name, versions: ["9"], platform: "onnxruntime_onnx", inputs: modelOf(name).inputs.map(header), outputs: modelOf(name).outputs.map(header) };
    },
    modelInfer: async (request, context) => {
      note(context, request.modelName);
      for (const { parameters } of request.inputs) {
        const region = parameters["shared_memory_region"]?.parameterChoice.value;
        if (typeof region === "string" && !replica.regions.has(region)) throw new StatusError("SHARED_MEMORY_UNKNOWN", `Unable to find shared memory region: '${region}'`, { metadata: { region } });
      }
      if (replica.hang) {
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve, { once: true }));
        cancelled.resolve();
      }
      return infer(request);
    },
    modelStreamInfer: async function* (requests, context) {
      for await (const request of requests) {
        note(context, request.modelName);
        yield { inferResponse: infer(request) };
      }
    },
    modelConfig: async ({ name }) => ({ config: { name, maxBatchSize: 8, schedulingChoice: { case: undefined } } }),
    modelStatistics: async ({ name }, context) => {
      note(context, name);
      const zero = { count: 0n, ns: 0n };
      const stats = { success: zero, fail: zero, queue: zero, computeInput: zero, computeInfer: zero, computeOutput: zero, cacheHit: zero, cacheMiss: zero };
      return { modelStats: [{ name, version: "1", lastInference: 9007199254740993n, inferenceCount: 4n, inferenceStats: stats }] };
    },
    repositoryIndex: async () => ({ models: Object.keys(MODELS).map((name) => ({ name, version: "1", state: "READY" })) }),
    repositoryModelLoad: async ({ modelName }, context) => (note(context, modelName), onLoad("load", modelName), {}),
    repositoryModelUnload: async ({ modelName }, context) => (note(context, modelName), onLoad("unload", modelName), {}),
    systemSharedMemoryStatus: async () => ({ regions: Object.fromEntries(replica.regions) }),
    systemSharedMemoryRegister: async ({ name, key, offset, byteSize }, context) => {
      note(context, name);
      if (replica.regions.has(name)) throw new StatusError("ALREADY_EXISTS", `shared memory region '${name}' already in manager`);
      replica.regions.set(name, { name, key, offset, byteSize });
      return {};
    },
    systemSharedMemoryUnregister: async ({ name }, context) => {
      note(context, name);
      if (name === "") replica.regions.clear();
      else replica.regions.delete(name);
      return {};
    },
    cudaSharedMemoryStatus: async () => ({}),
    cudaSharedMemoryRegister: async ({ name }) => {
      throw new StatusError("FIELD_INVALID", `failed to register shared memory region '${name}': invalid args`);
    },
    cudaSharedMemoryUnregister: async () => ({}),
    traceSetting: async ({ settings, modelName }, context) => (note(context, modelName), { settings: { trace_level: { value: ["OFF"] }, trace_rate: { value: ["1"] }, ...settings } }),
    logSettings: async ({ settings }, context) => (note(context, ""), { settings: { log_info: { parameterChoice: { case: "boolParam", value: true } }, ...settings } }),
  };
  const server = await startGrpcServer({ address: "127.0.0.1:0", services: [implement(GRPCInferenceService, implementation), fakeTasks(note)], authenticate: internalAuthenticator(TOKEN), drainMs: 100 });
  const replica: FakeReplica = { address: server.address, calls: [], regions: new Map(), failWith: undefined, hang: false, cancelled: cancelled.promise, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  return replica;
}

/** A registry that only knows the routing table, and who called it. */
export interface FakeRegistry extends AsyncDisposable {
  readonly address: string;
  /** Publishes a table: model → addresses, in the default project unless the model is "project/model". */
  publish(routes: Readonly<Record<string, readonly string[]>>): void;
  readonly identities: (Identity | undefined)[];
}

export async function startFakeRegistry(address = "127.0.0.1:0"): Promise<FakeRegistry> {
  let table: { routes: Readonly<Record<string, readonly string[]>> } | undefined;
  let changed = Promise.withResolvers<void>();
  const identities: (Identity | undefined)[] = [];
  const refuse = (): never => {
    throw new StatusError("UNIMPLEMENTED", "not in the fake");
  };
  const handlers = <T extends { methods: readonly { localName: string }[] }>(service: T, own: object): never => ({ ...Object.fromEntries(service.methods.map(({ localName }) => [localName, refuse])), ...own }) as never;
  const server: GrpcServer = await startGrpcServer({
    address,
    drainMs: 50,
    authenticate: internalAuthenticator(TOKEN),
    services: [
      implement(DeploymentService, handlers(DeploymentService, {
        async *watchRoutingTable(_: unknown, { identity, signal }: CallContext) {
          if (JSON.stringify(identity) !== JSON.stringify(serviceIdentity("gateway"))) throw new StatusError("PERMISSION_DENIED", "only gateways watch");
          while (!signal.aborted) {
            if (table !== undefined) yield tableMessage(table.routes);
            await changed.promise;
          }
        },
      })),
      implement(ModelRegistryService, handlers(ModelRegistryService, {
        listModels: async (_: unknown, { identity }: CallContext) => (identities.push(identity), { models: [{ name: "projects/default/models/m" }] }),
      })),
    ],
  });
  return {
    address: server.address,
    identities,
    publish(routes) {
      table = { routes };
      const { resolve } = changed;
      changed = Promise.withResolvers<void>();
      resolve();
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function tableMessage(routes: Readonly<Record<string, readonly string[]>>) {
  const replicas = [...new Set(Object.values(routes).flat())].map((address, index) => ({ replicaId: `r${index}`, address }));
  return {
    replicas,
    routes: Object.entries(routes).map(([key, addresses]) => {
      const [project, model] = key.includes("/") ? (key.split("/") as [string, string]) : ["default", key];
      const header = ({ name, datatype, shape }: FakeModel["inputs"][number]) => ({ name, datatype, shape: shape.map(BigInt) });
      return {
        deployment: `projects/${project}/deployments/${model}`,
        version: 1n,
        defaultVersion: true,
        addresses: [...addresses],
        signature: { inputs: (MODELS[model]?.inputs ?? []).map(header), outputs: (MODELS[model]?.outputs ?? []).map(header) },
      };
    }),
  };
}

/** An encoded request to `simple`. */
export function simpleRequest(model = "simple", id = ""): Uint8Array {
  const data = tensorOf("INT32", [1, 16], Array.from({ length: 16 }, (_, index) => index)).data;
  const inputs = ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1n, 16n] }));
  return toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName: model, id, inputs, rawInputContents: [data, data] }));
}
