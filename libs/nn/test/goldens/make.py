"""Values of layers and losses by PyTorch, for libs/nn/test/layers.test.ts and losses.test.ts.

Run with PyTorch 2: python make.py > goldens.json
"""
import json
import math

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
cases = {}


def tensor(value):
    value = value.detach()
    values = value.flatten().tolist()
    return {"shape": list(value.shape), "values": values if value.dtype == torch.int64 else [float(f"{v:.7g}") for v in values]}


def case(name, inputs, outputs, weights=()):
    weights = dict(weights)
    cases[name] = {"inputs": {k: tensor(v) for k, v in inputs.items()}, "weights": {k: tensor(v) for k, v in weights.items()}, "outputs": {k: tensor(v) for k, v in outputs.items()}}


def module_case(name, module, x, extra=None):
    for parameter in module.parameters():
        if parameter.dim() == 1:
            with torch.no_grad():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    weights = {k: v.clone() for k, v in module.state_dict().items() if v.dtype == torch.float32}
    y = module(x)
    case(name, {"x": x}, {"y": y, **({} if extra is None else extra(module))}, weights)


# Layers
module_case("linear", nn.Linear(5, 3), torch.randn(4, 5))
module_case("linear over sequences", nn.Linear(5, 3), torch.randn(2, 3, 5))
module_case("linear without bias", nn.Linear(5, 3, bias=False), torch.randn(4, 5))
module_case("conv", nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=(1, 2), groups=2), torch.randn(2, 4, 7, 8))
module_case("conv over one axis", nn.Conv1d(3, 4, 3, padding=1), torch.randn(2, 3, 6))
module_case("convTranspose", nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), torch.randn(2, 4, 4, 3))
module_case("maxPool", nn.MaxPool2d(3, stride=2, padding=1), torch.randn(2, 2, 6, 7))
module_case("averagePool", nn.AvgPool2d(3, stride=2, padding=1), torch.randn(2, 2, 6, 7))
module_case("globalAveragePool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.randn(2, 3, 4, 5))
module_case("layerNorm", nn.LayerNorm(6), torch.randn(2, 3, 6))
module_case("rmsNorm", nn.RMSNorm(6, eps=1e-5), torch.randn(2, 3, 6))
module_case("groupNorm", nn.GroupNorm(2, 6), torch.randn(2, 6, 3, 4))
statistics = lambda module: {"running_mean": module.running_mean, "running_var": module.running_var}
module_case("batchNorm while training", nn.BatchNorm2d(3), torch.randn(4, 3, 2, 5) * 2 + 1, statistics)
module_case("batchNorm of rows while training", nn.BatchNorm1d(3), torch.randn(5, 3) * 2 + 1, statistics)
norm = nn.BatchNorm2d(3).eval()
norm.running_mean.copy_(torch.randn(3))
norm.running_var.copy_(torch.rand(3) + 0.5)
module_case("batchNorm while serving", norm, torch.randn(2, 3, 2, 2))
table, ids = nn.Embedding(7, 4), torch.tensor([[1, 0, 6], [2, 2, 5]])
case("embedding", {"ids": ids}, {"y": table(ids)}, table.state_dict())

activations = {"relu": F.relu, "gelu": F.gelu, "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "leaky-relu": F.leaky_relu, "elu": F.elu, "identity": lambda x: x}
x = torch.randn(3, 8) * 2
case("activations", {"x": x}, {name: apply(x) for name, apply in activations.items()})
case("glu", {"x": x}, {"y": F.glu(x)})
a, b = torch.randn(3, 4), torch.randn(3, 4)
case("swiglu", {"gate": a, "up": b}, {"y": F.silu(a) * b})

for name, module in {"lstm": nn.LSTM(3, 4, batch_first=True), "gru": nn.GRU(3, 4, batch_first=True)}.items():
    x = torch.randn(2, 5, 3)
    sequence, hidden = module(x)
    hidden = hidden[0] if name == "lstm" else hidden
    case(name, {"x": x}, {"sequence": sequence, "hidden": hidden[0]}, module.state_dict())

# Attention
q, k, v = torch.randn(2, 3, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
heads = lambda x, count: x.view(x.shape[0], x.shape[1], count, -1).transpose(1, 2)
joined = lambda x: x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)
mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
seen = mask.bool()[:, None, None, :]
case("attention with padding", {"q": q, "k": k, "v": v, "mask": mask}, {"y": joined(F.scaled_dot_product_attention(heads(q, 2), heads(k, 2), heads(v, 2), attn_mask=seen))})
q, k, v = torch.randn(2, 5, 8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
case("causal attention", {"q": q, "k": k, "v": v}, {"y": joined(F.scaled_dot_product_attention(heads(q, 2), heads(k, 2), heads(v, 2), is_causal=True))})
q, k, v = torch.randn(2, 4, 16), torch.randn(2, 4, 8), torch.randn(2, 4, 8)


def rotate(x, base=10_000.0):
    size = x.shape[-1]
    frequencies = base ** (-torch.arange(0, size, 2).float() / size)
    angles = torch.outer(torch.arange(x.shape[-2]).float(), frequencies)
    angles = torch.cat([angles, angles], -1)
    first, second = x.chunk(2, -1)
    return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()


rotated = F.scaled_dot_product_attention(rotate(heads(q, 4)), rotate(heads(k, 2)).repeat_interleave(2, 1), heads(v, 2).repeat_interleave(2, 1), is_causal=True)
case("rotary attention with shared keys", {"q": q, "k": k, "v": v}, {"y": joined(rotated)})


# Losses: the value and the gradient with respect to the first input
def loss_case(name, inputs, apply):
    first = next(iter(inputs))
    leaf = inputs[first].clone().requires_grad_()
    loss = apply(**{**inputs, first: leaf})
    loss.backward()
    case(name, inputs, {"loss": loss, "gradient": leaf.grad})


z, labels = torch.randn(5, 4) * 2, torch.tensor([0, 3, 2, 2, 1])
weights = torch.tensor([0.5, 2.0, 1.0, 1.5])
loss_case("crossEntropy", {"z": z, "labels": labels}, lambda z, labels: F.cross_entropy(z, labels))
loss_case("crossEntropy with weights", {"z": z, "labels": labels}, lambda z, labels: F.cross_entropy(z, labels, weight=weights))
ignored = torch.tensor([0, -100, 2, -100, 1])
loss_case("crossEntropy with ignored rows", {"z": z, "labels": ignored}, lambda z, labels: F.cross_entropy(z, labels))
loss_case("crossEntropy smoothed", {"z": z, "labels": labels}, lambda z, labels: F.cross_entropy(z, labels, label_smoothing=0.1))
loss_case("crossEntropy smoothed, with weights and ignored rows", {"z": z, "labels": ignored}, lambda z, labels: F.cross_entropy(z, labels, weight=weights, label_smoothing=0.2))
sequence = torch.randn(2, 3, 4)
loss_case("crossEntropy over sequences", {"z": sequence, "labels": torch.tensor([[0, 1, -100], [3, 3, 2]])}, lambda z, labels: F.cross_entropy(z.flatten(0, 1), labels.flatten()))
targets = torch.softmax(torch.randn(5, 4), -1)
loss_case("softmaxCrossEntropy", {"z": z, "t": targets}, lambda z, t: F.cross_entropy(z, t))
z, t = torch.randn(6) * 3, torch.tensor([1.0, 0, 0, 1, 1, 0])
loss_case("binaryCrossEntropy", {"z": z, "t": t}, lambda z, t: F.binary_cross_entropy_with_logits(z, t))
loss_case("binaryCrossEntropy with a weight", {"z": z, "t": t}, lambda z, t: F.binary_cross_entropy_with_logits(z, t, pos_weight=torch.tensor(3.0)))


def focal(z, t, alpha, gamma):
    entropy = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p = torch.sigmoid(z)
    truth = p * t + (1 - p) * (1 - t)
    return ((alpha * t + (1 - alpha) * (1 - t)) * (1 - truth) ** gamma * entropy).mean()


loss_case("focalLoss", {"z": z, "t": t}, lambda z, t: focal(z, t, 0.25, 2))
loss_case("focalLoss of another exponent", {"z": z, "t": t}, lambda z, t: focal(z, t, 0.6, 1.5))
z4 = torch.randn(5, 4) * 2
classes = torch.tensor([0, 3, 2, 2, 1])


def softmax_focal(z, labels, gamma, weights):
    truth = F.log_softmax(z, -1).gather(1, labels[:, None])[:, 0]
    return (-weights[labels] * (1 - truth.exp()) ** gamma * truth).mean()


loss_case("softmaxFocalLoss", {"z": z4, "labels": classes}, lambda z, labels: softmax_focal(z, labels, 2, torch.ones(4)))
loss_case("softmaxFocalLoss with weights", {"z": z4, "labels": classes}, lambda z, labels: softmax_focal(z, labels, 1.5, torch.tensor([0.5, 2.0, 1.0, 1.5])))
loss_case("hingeLoss", {"z": z, "t": t}, lambda z, t: F.relu(1 - (2 * t - 1) * z).mean())
x, t = torch.randn(4, 3) * 2, torch.randn(4, 3)
loss_case("meanSquaredError", {"x": x, "t": t}, lambda x, t: F.mse_loss(x, t))
loss_case("meanAbsoluteError", {"x": x, "t": t}, lambda x, t: F.l1_loss(x, t))
loss_case("huberLoss", {"x": x, "t": t}, lambda x, t: F.huber_loss(x, t, delta=0.7))
z = torch.randn(5, 4) * 2
loss_case("klDivergence", {"z": z, "t": targets}, lambda z, t: F.kl_div(F.log_softmax(z, -1), t, reduction="batchmean"))
teacher = torch.randn(5, 4) * 2
loss_case("distillationLoss", {"z": z, "teacher": teacher}, lambda z, teacher: F.kl_div(F.log_softmax(z / 3, -1), F.log_softmax(teacher / 3, -1), log_target=True, reduction="batchmean") * 9)
loss_case("gaussianDivergence", {"mean": z, "logVariance": teacher}, lambda mean, logVariance: torch.distributions.kl_divergence(torch.distributions.Normal(mean, (logVariance / 2).exp()), torch.distributions.Normal(0.0, 1.0)).sum(1).mean())
a, b, c = torch.randn(4, 3), torch.randn(4, 3), torch.randn(4, 3)


def info_nce(a, b, temperature=0.07):
    scores = F.normalize(a) @ F.normalize(b).T / temperature
    rows = torch.arange(len(a))
    return (F.cross_entropy(scores, rows) + F.cross_entropy(scores.T, rows)) / 2


def nt_xent(a, b, temperature=0.5):
    both = F.normalize(torch.cat([a, b]))
    scores = both @ both.T / temperature
    scores = scores.masked_fill(torch.eye(len(both)).bool(), -math.inf)
    return F.cross_entropy(scores, torch.arange(len(both)).roll(len(a)))


loss_case("infoNce", {"a": a, "b": b}, info_nce)
loss_case("ntXent", {"a": a, "b": b}, nt_xent)


def pairs(a, b, together):
    d = (a - b).norm(dim=1)
    return (together * d**2 + (1 - together) * F.relu(2 - d) ** 2).mean()


loss_case("pairLoss", {"a": a, "b": b, "together": torch.tensor([1.0, 0, 1, 0])}, pairs)
loss_case("tripletLoss", {"a": a, "b": b, "c": c}, lambda a, b, c: F.triplet_margin_loss(a, b, c, margin=1.0, eps=0))

print(json.dumps(cases, separators=(",", ":")).replace('},"', '},\n"'))
