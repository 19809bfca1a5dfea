"""The JSON peer: FastAPI on uvicorn (uvloop, httptools) and onnxruntime in one Python process, with the protocol's REST form.

usage: server.py MODEL.onnx
"""

import socket
import sys

import numpy
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
app = FastAPI()


class Tensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class InferRequest(BaseModel):
    inputs: list[Tensor]


@app.post("/v2/models/{model}/infer")
async def infer(model: str, request: InferRequest):
    tensor = request.inputs[0]
    (output,) = session.run(None, {name: numpy.array(tensor.data, numpy.float32).reshape(tensor.shape)})[:1]
    return {"model_name": model, "outputs": [{"name": "output", "datatype": "FP32", "shape": list(output.shape), "data": output.ravel().tolist()}]}


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False)).run(sockets=[listener])
