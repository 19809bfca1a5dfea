"""The PyTorch side of accuracy.bench.ts: python torch_accuracy.py FOLDER, which holds case.json, initial.safetensors, order.bin and rows."""
import json
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "libs/nn/test/goldens"))
import torch_models as models  # noqa: E402

torch.set_num_threads(1)
folder = pathlib.Path(sys.argv[1])
case = json.loads((folder / "case.json").read_text())
TYPES = {"Float32Array": np.float32, "BigInt64Array": np.int64, "Uint8Array": np.uint8}


def rows_of(part):
    return {name: torch.from_numpy(np.fromfile(folder / f"{part}.{name}.bin", TYPES[spec["type"]]).reshape(-1, *spec["shape"])) for name, spec in case[part].items()}


def build(kind, **shape):
    if kind == "mlp":
        return models.Mlp(shape["inputs"], shape["hidden"], shape["outputs"])
    if kind == "lenet":
        return models.LeNet()
    if kind == "resnet20":
        return models.ResNet()
    if kind == "gpt":
        return models.Gpt(shape["vocabulary"], shape["layers"], shape["width"], shape["heads"], shape["positions"])
    return models.BertClassifier(shape["vocabulary"], shape["layers"], shape["width"], shape["heads"], shape["positions"], shape["classes"], shape["pooling"])


def batch_of(arrays, rows):
    batch = {name: values[rows] for name, values in arrays.items()}
    scale = case.get("scale")
    if scale:
        mean, deviation = (torch.tensor(scale[key])[:, None, None] for key in ("mean", "deviation"))
        batch[scale["input"]] = (batch[scale["input"]].float() - mean) / deviation
    return batch


def run(batch):
    truth = batch.get("labels", batch.get("targets"))
    inputs = [batch[name] for name in batch if name not in ("labels", "targets")]
    logits = model(*inputs)
    if "targets" in batch:
        return logits, F.binary_cross_entropy_with_logits(logits[:, 0], truth), truth
    return logits, F.cross_entropy(logits.flatten(0, -2), truth.flatten()), truth


model = build(**case["model"])
model.load_state_dict(load_file(folder / "initial.safetensors"), strict=False)
training, test = rows_of("training"), rows_of("test")
order = torch.from_numpy(np.fromfile(folder / "order.bin", np.uint32).astype(np.int64)).reshape(case["steps"], case["batchSize"])
optimizer = torch.optim.Adam(model.parameters(), lr=case["learningRate"])
model.train()
began = time.perf_counter()
for step, rows in enumerate(order):
    if case.get("decays"):
        optimizer.param_groups[0]["lr"] = case["learningRate"] * (1 - step / case["steps"])
    _, loss, _ = run(batch_of(training, rows))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
seconds = time.perf_counter() - began
model.eval()
total, right, count = 0.0, 0, len(next(iter(test.values())))
with torch.no_grad():
    for start in range(0, count, case["portion"]):
        rows = torch.arange(start, min(start + case["portion"], count))
        logits, loss, truth = run(batch_of(test, rows))
        total += loss.item() * len(rows)
        if case["metric"] == "accuracy":
            guess = (logits[:, 0] > 0).long() if logits.shape[-1] == 1 else logits.argmax(-1)
            right += (guess == truth.long()).sum().item()
print(json.dumps({"metric": right / count if case["metric"] == "accuracy" else total / count, "seconds": seconds}))
