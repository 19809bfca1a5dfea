"""Integrated Gradients by PyTorch's autograd, of models as PyTorch exports them.

A convolutional net explained at its picture, and an attention block explained at its embeddings; 16 points of the Gauss-Legendre
rule, double precision. Made with torch 2.15.0 (CPU). Run: python3 torch_models.py
"""
import json
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(16)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.GELU(), nn.Flatten(), nn.Linear(24, 3), nn.Softmax(-1))

    def forward(self, x):
        return self.body(x)


class Text(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.words, self.norm, self.mix, self.head = nn.Embedding(20, d), nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, 3)

    def embedded(self, x, mask):
        q, k, v = self.mix(self.norm(x)).chunk(3, -1)
        scores = q @ k.transpose(1, 2) / 8**0.5 + (1 - mask[:, None].to(x.dtype)) * -10000.0
        return self.head((x + F.softmax(scores, -1) @ v)[:, 0])

    def forward(self, ids, mask):
        return self.embedded(self.words(ids), mask)


def integrate(score, x, baseline):
    total = torch.zeros_like(x)
    for point, weight in zip(POINTS, WEIGHTS):
        at = (baseline + (point + 1) / 2 * (x - baseline)).requires_grad_()
        total += weight / 2 * torch.autograd.grad(score(at), at)[0]
    return (x - baseline) * total, score(x).item(), score(baseline).item()


def record(name, inputs, target, result):
    attribution, prediction, baseline = result
    gap = prediction - baseline
    print(name, "completeness error", abs(attribution.sum().item() - gap) / abs(gap))
    (HERE / f"{name}.json").write_text(json.dumps({"inputs": inputs, "target": target, "prediction": prediction, "baselinePrediction": baseline, "attributions": [float(f"{v:.9g}") for v in attribution.flatten().tolist()]}) + "\n")


torch.manual_seed(5)
cnn = Cnn().eval()
cnn.body[4].running_mean.uniform_(-0.2, 0.2)
picture = torch.randn(1, 1, 8, 8)
torch.onnx.export(cnn, (picture,), HERE / "cnn.onnx", dynamo=False, opset_version=17, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}})
cnn.double()
record("cnn", {"x": picture.flatten().tolist()}, 1, integrate(lambda at: cnn(at)[0, 1], picture.double(), torch.zeros(1, 1, 8, 8).double()))

text = Text().eval()
ids, mask = torch.tensor([[3, 7, 1, 12, 0]]), torch.tensor([[1, 1, 1, 1, 0]])
torch.onnx.export(text, (ids, mask), HERE / "text.onnx", dynamo=False, opset_version=17, input_names=["ids", "mask"], output_names=["y"], dynamic_axes={"ids": {0: "n", 1: "t"}, "mask": {0: "n", 1: "t"}, "y": {0: "n"}})
text.double()
words = text.words(ids).detach()
attribution, prediction, baseline = integrate(lambda at: text.embedded(at, mask)[0, 2], words, text.words(torch.zeros_like(ids)).detach())
record("text", {"ids": ids[0].tolist(), "mask": mask[0].tolist()}, 2, (attribution.sum(-1), prediction, baseline))
