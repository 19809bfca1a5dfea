import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { implement, startGrpcServer, type GrpcServer, type ServiceImplementation } from "@servable/grpc";

/** Answers that a test replaces, and what arrived. */
export interface FakePlatform extends AsyncDisposable {
  readonly address: string;
  readonly calls: string[];
}

/** The parts that a test replaces; everything else answers UNIMPLEMENTED. */
export interface FakeParts {
  readonly registry?: Partial<ServiceImplementation<typeof ModelRegistryService>>;
  readonly deployments?: Partial<ServiceImplementation<typeof DeploymentService>>;
  readonly training?: Partial<ServiceImplementation<typeof TrainingService>>;
  readonly inference?: Partial<ServiceImplementation<typeof GRPCInferenceService>>;
}

/** A gRPC server on a free port that speaks the platform's contracts. */
export async function startFakePlatform({ registry = {}, deployments = {}, training = {}, inference = {} }: FakeParts): Promise<FakePlatform> {
  const calls: string[] = [];
  const server: GrpcServer = await startGrpcServer({
    address: "127.0.0.1:0",
    services: [
      implement(ModelRegistryService, complete(ModelRegistryService, registry)),
      implement(DeploymentService, complete(DeploymentService, deployments)),
      implement(TrainingService, complete(TrainingService, training)),
      implement(GRPCInferenceService, complete(GRPCInferenceService, inference)),
    ],
    authenticate: (header, method) => {
      calls.push(`${method.slice(method.lastIndexOf("/") + 1)} ${header("authorization")}`);
      return undefined;
    },
    drainMs: 0,
  });
  return { address: server.address, calls, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function complete(service: { readonly method: object }, parts: object): never {
  const refuse = (): never => {
    throw new StatusError("UNIMPLEMENTED", "not part of this test");
  };
  return { ...Object.fromEntries(Object.keys(service.method).map((name) => [name, refuse])), ...parts } as never;
}

