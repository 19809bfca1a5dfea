import { toBinary, type DescFile, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "@servable/contracts/google/rpc/error_details";
import { ServerReflection as ReflectionV1 } from "@servable/contracts/grpc/reflection/v1/reflection";
import { ServerReflection as ReflectionV1Alpha } from "@servable/contracts/grpc/reflection/v1alpha/reflection";
import { implement, type ServiceRegistration } from "./service.ts";

const NOT_FOUND_CODE = 5;
const UNIMPLEMENTED_CODE = 12;

interface ReflectionRequest {
  readonly messageRequest: { readonly case: string | undefined; readonly value?: unknown };
}

/** Server reflection in both versions that clients speak, so that grpcurl and friends need no contract files. */
export function createReflection(services: readonly DescService[]): ServiceRegistration[] {
  const answer = createAnswer([...services, ReflectionV1, ReflectionV1Alpha]);
  async function* respond(requests: AsyncIterable<ReflectionRequest>): AsyncGenerator<{ messageResponse: never }> {
    // Plain initialisers: a message made for v1 cannot be written as v1alpha, but their fields are the same.
    for await (const request of requests) yield { messageResponse: answer(request) as never };
  }
  return [
    implement(ReflectionV1, { serverReflectionInfo: (requests) => respond(requests) }),
    implement(ReflectionV1Alpha, { serverReflectionInfo: (requests) => respond(requests) }),
  ];
}

function createAnswer(services: readonly DescService[]): (request: ReflectionRequest) => unknown {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file.proto.name)) return;
    files.set(file.proto.name, file);
    for (const dependency of file.dependencies) add(dependency);
    for (const message of file.messages) symbols.set(message.typeName, file);
    for (const enumeration of file.enums) symbols.set(enumeration.typeName, file);
    for (const service of file.services) {
      symbols.set(service.typeName, file);
      for (const method of service.methods) symbols.set(`${service.typeName}.${method.name}`, file);
    }
  };
  for (const service of services) add(service.file);
  // Errors carry it packed in an Any: without its descriptor clients print bytes.
  add(file_google_rpc_error_details);

  const failure = (errorCode: number, errorMessage: string): unknown => ({ case: "errorResponse", value: { errorCode, errorMessage } });
  const withDependencies = (file: DescFile | undefined, wanted: string): unknown => {
    if (file === undefined) return failure(NOT_FOUND_CODE, `${wanted} is not known here`);
    const found = new Map<string, DescFile>();
    const collect = (next: DescFile): void => {
      if (found.has(next.proto.name)) return;
      found.set(next.proto.name, next);
      for (const dependency of next.dependencies) collect(dependency);
    };
    collect(file);
    return { case: "fileDescriptorResponse", value: { fileDescriptorProto: [...found.values()].map((each) => toBinary(FileDescriptorProtoSchema, each.proto)) } };
  };
  return ({ messageRequest: { case: kind, value } }) => {
    switch (kind) {
      case "listServices":
        return { case: "listServicesResponse", value: { service: services.map(({ typeName }) => ({ name: typeName })) } };
      case "fileByFilename":
        return withDependencies(files.get(String(value)), String(value));
      case "fileContainingSymbol":
        return withDependencies(symbols.get(String(value)), String(value));
      default:
        return failure(UNIMPLEMENTED_CODE, `${kind ?? "this request"} is not served: the contracts have no extensions`);
    }
  };
}
