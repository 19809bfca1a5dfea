"""Lists the models of a project and runs one of them, with a client generated from Servable's contracts."""

import argparse
import os
import struct
import sys

import grpc  # before the generated code: its folder has packages of the same first names

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen"))

from inference import grpc_service_pb2 as oip  # noqa: E402
from inference import grpc_service_pb2_grpc as oip_grpc  # noqa: E402
from servable.registry.v1 import model_registry_pb2 as registry  # noqa: E402
from servable.registry.v1 import model_registry_pb2_grpc as registry_grpc  # noqa: E402

DEADLINE_S = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:8001", help="gRPC address of the gateway")
    parser.add_argument("--api-key", default=os.environ.get("SERVABLE_API_KEY", ""), help="key (SERVABLE_API_KEY)")
    parser.add_argument("--project", default="default")
    parser.add_argument("--model", default="simple", help="a model with INT32 inputs INPUT0 and INPUT1 of shape [n, 16]")
    options = parser.parse_args()
    key = [("authorization", f"Bearer {options.api_key}")] if options.api_key else []

    with grpc.insecure_channel(options.address) as channel:
        models = registry_grpc.ModelRegistryServiceStub(channel)
        page = models.ListModels(registry.ListModelsRequest(parent=f"projects/{options.project}"), metadata=key, timeout=DEADLINE_S)
        for model in page.models:
            print(f"model {model.name} latest version {model.latest_version}")

        row = list(range(16))
        raw = struct.pack("<16i", *row)
        request = oip.ModelInferRequest(model_name=options.model, raw_input_contents=[raw, raw])
        for name in ("INPUT0", "INPUT1"):
            request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        response = oip_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=key, timeout=DEADLINE_S)
        for output, data in zip(response.outputs, response.raw_output_contents):
            print(f"{output.name} {list(struct.unpack('<16i', data))}")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
