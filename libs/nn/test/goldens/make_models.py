"""Logits of the ready models by PyTorch, for libs/nn/test/models.test.ts: python make_models.py > models.json"""
import json

import torch
import torch_models as models


def wave(*shape):
    count = 1
    for size in shape:
        count *= size
    return torch.sin(torch.arange(count).double() * 0.37).float().reshape(shape)


def ids(*shape, vocabulary):
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count) * 7 + 3).remainder(vocabulary).reshape(shape)


def parts(y):
    return {"shape": list(y.shape), "values": [float(f"{v:.7g}") for v in y.detach().flatten().tolist()]}


mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
cases = {}
with torch.no_grad():
    cases["mlp"] = parts(models.fill(models.Mlp(6, [8, 5], 3))(wave(4, 6)))
    cases["lenet"] = parts(models.fill(models.LeNet())(wave(2, 1, 28, 28)))
    cases["smallCnn"] = parts(models.fill(models.SmallCnn())(wave(2, 1, 28, 28)))
    cases["resnet20"] = parts(models.fill(models.ResNet()).eval()(wave(2, 3, 32, 32)))
    cases["resnet of convolutions"] = parts(models.fill(models.ResNet((1, 2), (8, 12), 5, large=True, pad=False, head="fc")).eval()(wave(2, 3, 32, 32)))
    cases["gpt"] = parts(models.fill(models.Gpt(50, 2, 16, 4, 12))(ids(2, 6, vocabulary=50)))
    cases["bertClassifier"] = parts(models.fill(models.BertClassifier(50, 2, 16, 4, 12, 3))(ids(2, 6, vocabulary=50), mask))
    cases["bertClassifier of means"] = parts(models.fill(models.BertClassifier(50, 2, 16, 4, 12, 3, pooling="mean"))(ids(2, 6, vocabulary=50), mask))
print(json.dumps(cases, separators=(",", ":")).replace('},"', '},\n"'))
