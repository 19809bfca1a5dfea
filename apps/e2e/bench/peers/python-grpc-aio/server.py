"""The peer that most people would write: grpc.aio and onnxruntime in one Python process.

usage: server.py MODEL.onnx [THREADS]
It reads and writes the protocol's messages by hand at byte level, as the fastest such servers do: generated code would
only make it slower. Its best setting was one event loop with uvloop and the model run on the loop itself.
"""

import asyncio
import struct
import sys

import grpc
import numpy
import onnxruntime
import uvloop

MAX_BYTES = 64 * 1024 * 1024


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def fields(data):
    """Yields (number, value) of every field; values are ints or memoryviews."""
    at, end = 0, len(data)
    while at < end:
        tag, at = read_varint(data, at)
        if tag & 7 == 2:
            size, at = read_varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            value, at = read_varint(data, at)
            yield tag >> 3, value


def shape_of(tensor):
    shape = []
    for number, value in fields(tensor):
        if number == 3:
            if isinstance(value, int):
                shape.append(value)
            else:
                at = 0
                while at < len(value):
                    dimension, at = read_varint(value, at)
                    shape.append(dimension)
    return shape


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


class Server:
    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [each.name for each in self.session.get_inputs()]
        self.types = [numpy.int64 if "int64" in each.type else numpy.float32 for each in self.session.get_inputs()]

    async def infer(self, request, context):
        shapes, raw = [], []
        for number, value in fields(memoryview(request)):
            if number == 5:
                shapes.append(shape_of(value))
            elif number == 7:
                raw.append(value)
        feeds = {name: numpy.frombuffer(data, dtype).reshape(shape) for name, dtype, data, shape in zip(self.names, self.types, raw, shapes)}
        (output,) = self.session.run(None, feeds)[:1]
        tensor = field(1, b"output") + field(2, b"FP32") + field(3, b"".join(varint(size) for size in output.shape))
        return field(1, b"mlp") + field(5, tensor) + field(6, output.tobytes())


async def main():
    server = Server(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    grpc_server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(server.infer)
    grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler}),))
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await grpc_server.wait_for_termination()


uvloop.install()
asyncio.run(main())
