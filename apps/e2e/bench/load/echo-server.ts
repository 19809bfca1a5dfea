// The baseline: grpc-js with protobuf-es as everybody uses them, decoding a ModelInferRequest and answering one tensor of ten
// floats; with `raw` as argument it decodes nothing. Its HTTP/2 windows are as large as ours, so that the comparison is fair.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { ModelInferRequestSchema, ModelInferResponseSchema, type ModelInferRequest, type ModelInferResponse } from "@servable/contracts/open-inference/grpc_service";
import { raiseWindows } from "@servable/grpc";

const raw = process.argv[2] === "raw";
const tensor = new Uint8Array(40);
const answerTo = ({ modelName, id }: ModelInferRequest): ModelInferResponse =>
  create(ModelInferResponseSchema, { modelName, modelVersion: "1", id, outputs: [{ name: "output", datatype: "FP32", shape: [1n, 10n] }], rawOutputContents: [tensor] });
const constant = Buffer.from(toBinary(ModelInferResponseSchema, answerTo(create(ModelInferRequestSchema, { modelName: "mlp" }))));

const server = new Server({ "grpc.max_receive_message_length": -1 });
raiseWindows(server);
server.addService(
  {
    modelInfer: {
      path: "/inference.GRPCInferenceService/ModelInfer",
      requestStream: false,
      responseStream: false,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => (raw ? bytes : fromBinary(ModelInferRequestSchema, bytes)),
      responseSerialize: (answer: ModelInferResponse | Buffer) => (Buffer.isBuffer(answer) ? answer : Buffer.from(toBinary(ModelInferResponseSchema, answer))),
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  },
  { modelInfer: (call: ServerUnaryCall<ModelInferRequest, unknown>, done: sendUnaryData<unknown>) => done(null, raw ? constant : answerTo(call.request)) },
);
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, port) => process.stdout.write(`127.0.0.1:${port}\n`));
