"""Models as PyTorch exports them, with autograd's gradients of every parameter.

Writes NAME.onnx and NAME.json (inputs, outputs, gradients by initializer) for each model, export path and opset; the loss is the
sum over outputs k of y_k · sin(7.3 + k + 1.7 · (place mod 13)). test/exported-models.test.ts compares.

Made with torch 2.15.0, onnx 1.23, onnxscript 0.7 (CPU):
    python3 exported_models.py exported --fixtures     the small set that is committed
    python3 exported_models.py DIR                     every model, both paths, opsets 13 to 21
    SERVABLE_EXPORTED_MODELS=DIR node --test libs/autodiff/test/exported-models.test.ts
"""
import base64
import io
import json
import math
import pathlib
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import numpy_helper

warnings.filterwarnings("ignore")


class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        acts = [nn.ReLU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.SELU(), nn.CELU(0.7), nn.LeakyReLU(0.2), nn.PReLU(8), nn.Softplus(),
                nn.Softsign(), nn.Hardswish(), nn.Hardsigmoid(), nn.Mish(), nn.ReLU6(), nn.Hardtanh(), nn.LogSigmoid(), nn.Tanhshrink(), nn.Softshrink(0.1), nn.GLU()]
        self.body = nn.ModuleList(nn.Sequential(nn.Linear(6, 16 if isinstance(a, nn.GLU) else 8), a) for a in acts)

    def forward(self, x):
        return sum(block(x) for block in self.body)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU6(),
                                  nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 3))

    def forward(self, x):
        return self.body(x)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 4, 5, padding=2), nn.Conv2d(4, 6, 5)
        self.f = nn.Linear(6 * 4, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return F.log_softmax(self.f(x.view(x.size(0), -1)), 1)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.a = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8))
        self.down = nn.Sequential(nn.Conv2d(4, 8, 1, 2, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.a(x) + self.down(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Mobile(nn.Module):
    """Inverted residual with squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.expand, self.depth, self.project = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 4, 1)
        self.dilated = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.s1, self.s2 = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x):
        h = F.hardswish(self.depth(F.relu6(self.expand(x))))
        h = h * F.hardsigmoid(self.s2(F.relu(self.s1(h.mean((2, 3), keepdim=True)))))
        return self.dilated(x + self.project(h))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.gn, self.inn = nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)
        self.out = nn.Conv2d(8, 2, 3, padding=1, padding_mode="reflect")

    def forward(self, x):
        a = F.silu(self.gn(self.a(x)))
        b = F.leaky_relu(self.inn(self.b(F.avg_pool2d(a, 2))), 0.1)
        y = torch.cat([a, self.up(b)], 1)
        y = F.interpolate(F.interpolate(y, scale_factor=2, mode="nearest"), size=(8, 8), mode="bilinear", align_corners=False)
        return self.out(y)


class Bert(nn.Module):
    def __init__(self, d=8, heads=2, vocabulary=40):
        super().__init__()
        self.words, self.places, self.types = nn.Embedding(vocabulary, d), nn.Embedding(16, d), nn.Embedding(2, d)
        self.norm = nn.LayerNorm(d)
        self.blocks = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, heads, 16, 0.0, "gelu", batch_first=True), 2, enable_nested_tensor=False)
        self.pool, self.head = nn.Linear(d, d), nn.Linear(d, 3)

    def forward(self, ids, mask, types):
        h = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1]))[None] + self.types(types))
        h = self.blocks(h, src_key_padding_mask=mask == 0)
        return self.head(torch.tanh(self.pool(h[:, 0])))


class BertByHand(nn.Module):
    """Attention as Hugging Face writes it: an additive mask from whole numbers."""

    def __init__(self, d=8, heads=2):
        super().__init__()
        self.h = heads
        self.words = nn.Embedding(40, d)
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.n1, self.n2 = nn.LayerNorm(d, 1e-12), nn.LayerNorm(d, 1e-12)
        self.up, self.down = nn.Linear(d, 16), nn.Linear(16, d)

    def split(self, x):
        return x.view(x.size(0), x.size(1), self.h, -1).permute(0, 2, 1, 3)

    def forward(self, ids, mask):
        x = self.words(ids)
        extended = (1.0 - mask[:, None, None, :].to(x.dtype)) * -10000.0
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        p = F.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.size(-1)) + extended, -1)
        c = (p @ v).permute(0, 2, 1, 3).contiguous()
        x = self.n1(x + self.o(c.view(c.size(0), c.size(1), -1)))
        return self.n2(x + self.down(F.gelu(self.up(x))))


class Gpt(nn.Module):
    def __init__(self, d=8, heads=2, vocabulary=40, sdpa=True, tied=True):
        super().__init__()
        self.h, self.sdpa = heads, sdpa
        self.wte, self.wpe = nn.Embedding(vocabulary, d), nn.Embedding(8, d)
        self.n1, self.n2, self.n3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.o, self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(d, d), nn.Linear(d, 16), nn.Linear(16, d)
        self.head = None if tied else nn.Linear(d, vocabulary, bias=False)
        self.register_buffer("mask", torch.tril(torch.ones(8, 8)).view(1, 1, 8, 8))

    def forward(self, ids):
        b, t = ids.shape
        x = self.wte(ids) + self.wpe(torch.arange(t))
        q, k, v = (z.view(b, t, self.h, -1).transpose(1, 2) for z in self.qkv(self.n1(x)).chunk(3, -1))
        if self.sdpa:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            a = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            y = F.softmax(a.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), -1) @ v
        x = x + self.o(y.transpose(1, 2).contiguous().view(b, t, -1))
        x = self.n3(x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh")))
        return F.linear(x, self.wte.weight) if self.head is None else self.head(x)


class RmsNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Llama(nn.Module):
    """RMSNorm, rotary embeddings, grouped keys and values, SwiGLU."""

    def __init__(self, d=16, heads=4, groups=2):
        super().__init__()
        self.h, self.g, self.s = heads, groups, d // heads
        self.words = nn.Embedding(40, d)
        self.q, self.k, self.v, self.o = (nn.Linear(d, w, bias=False) for w in (d, d // 2, d // 2, d))
        self.gate, self.up, self.down = nn.Linear(d, 24, bias=False), nn.Linear(d, 24, bias=False), nn.Linear(24, d, bias=False)
        self.n1, self.n2 = RmsNorm(d), nn.RMSNorm(d, 1e-6)
        self.head = nn.Linear(d, 40, bias=False)
        self.register_buffer("freq", 1.0 / (10000.0 ** (torch.arange(0, self.s, 2).float() / self.s)))

    def rotate(self, x, cos, sin):
        a, b = x[..., : self.s // 2], x[..., self.s // 2 :]
        return x * cos + torch.cat((-b, a), -1) * sin

    def forward(self, ids):
        b, t = ids.shape
        x = self.words(ids)
        angles = torch.outer(torch.arange(t).float(), self.freq)
        angles = torch.cat((angles, angles), -1)
        cos, sin = angles.cos(), angles.sin()
        n = self.n1(x)
        q, k, v = self.q(n).view(b, t, self.h, -1).transpose(1, 2), self.k(n).view(b, t, self.g, -1).transpose(1, 2), self.v(n).view(b, t, self.g, -1).transpose(1, 2)
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        k, v = (z[:, :, None].expand(b, self.g, self.h // self.g, t, self.s).reshape(b, self.h, t, self.s) for z in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, -1))
        n = self.n2(x)
        return self.head(x + self.down(F.silu(self.gate(n)) * self.up(n)))


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.rnn, self.out = nn.LSTMCell(3, 4), nn.GRUCell(4, 4), nn.RNNCell(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        h, c, g, r = (x.new_zeros(x.size(0), 4) for _ in range(4))
        for t in range(3):
            h, c = self.lstm(x[:, t], (h, c))
            g = self.gru(h, g)
            r = self.rnn(g, r)
        return self.out(r)


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.body = getattr(nn, kind)(3, 4, batch_first=True, **options)
        self.out = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x):
        return self.out(self.body(x)[0][:, -1])


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(40, 4, mode="mean"), nn.Linear(4, 2)

    def forward(self, ids):
        return self.out(self.bag(ids))


class Pooled(nn.Module):
    """fastText: the mean of embeddings under a mask."""

    def __init__(self):
        super().__init__()
        self.words, self.out = nn.Embedding(40, 4, padding_idx=0), nn.Linear(4, 2)

    def forward(self, ids, mask):
        m = mask.float().unsqueeze(-1)
        return self.out((self.words(ids) * m).sum(1) / m.sum(1).clamp(min=1.0))


class Losses(nn.Module):
    """Label smoothing is written out: torch 2.15 exports cross_entropy without it (dynamo), or not at all."""

    def __init__(self):
        super().__init__()
        self.f, self.g = nn.Linear(4, 3), nn.Linear(4, 1)
        self.register_buffer("weight", torch.tensor([0.5, 1.0, 2.5]))

    def forward(self, x, labels, targets):
        z, s = self.f(x), self.g(x).squeeze(-1)
        return (F.cross_entropy(z, labels) + F.cross_entropy(z, labels, self.weight, ignore_index=1) + 0.9 * F.cross_entropy(z, labels) - 0.1 * F.log_softmax(z, -1).mean() + F.nll_loss(F.log_softmax(z, -1), labels)
                + F.binary_cross_entropy_with_logits(s, targets) + F.mse_loss(s, targets) + F.l1_loss(s, targets) + F.huber_loss(s, targets, delta=0.5) + F.smooth_l1_loss(s, targets)
                + F.kl_div(F.log_softmax(z, -1), F.softmax(x[:, :3], -1), reduction="batchmean") + (1 - F.cosine_similarity(z, x[:, :3])).mean() + F.hinge_embedding_loss(s, torch.sign(targets)))


class Tensors(nn.Module):
    """What models do to tensors in between."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 6))
        self.s = nn.Parameter(torch.randn(3, 6))

    def forward(self, x):
        a = x @ self.w
        b = torch.einsum("bi,ci->bc", a, self.s)
        c = a.cumsum(1) + torch.roll(a, 1, 1) + F.pad(a[:, 1:-1], (1, 1), value=0.5) + a.flip(1)
        d = torch.where(a > 0, a, a * 0.1) + torch.clamp(a, -0.5, 0.5) + torch.tril(a) + a.repeat(1, 2)[:, 3:9] + F.normalize(a, dim=-1)
        e = torch.stack([a.max(1).values, a.min(1).values, a.prod(1), a.logsumexp(1), a.norm(dim=1), a.std(1), a.var(1, unbiased=False)], 1)
        k = a.topk(2).values.sum(1) + a.gather(1, torch.tensor([[0], [2], [5]])).squeeze(1) + a.index_select(1, torch.tensor([0, 0, 3])).sum(1)
        return torch.cat([b, c, d, e, k[:, None], (a.abs() + 0.1).pow(1.7), a.exp().sqrt(), torch.atan(a) + a.sin() * a.cos()], 1)


class Layers(nn.Module):
    """Layers that the others lack."""

    def __init__(self):
        super().__init__()
        self.c1, self.c3, self.t1 = nn.Conv1d(3, 4, 3, padding=1), nn.Conv3d(1, 2, 3, padding=1), nn.ConvTranspose1d(4, 4, 3, stride=2, padding=1, output_padding=1)
        self.bi, self.mha = nn.Bilinear(4, 4, 4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.ln, self.bn1, self.lrn = nn.LayerNorm(4, elementwise_affine=False), nn.BatchNorm1d(4), nn.LocalResponseNorm(3)
        self.decoder = nn.TransformerDecoderLayer(4, 2, 8, 0.0, batch_first=True, norm_first=True)
        self.shuffle, self.alpha = nn.PixelShuffle(2), nn.AlphaDropout(0.2)

    def forward(self, x):
        a = self.c1(x)
        b = self.bn1(self.t1(a))
        c = b[:, :, :6].transpose(1, 2)
        d = self.mha(c, c, c, need_weights=False)[0] + self.ln(c) + self.bi(c, c)
        e = self.decoder(d, c, tgt_mask=torch.triu(torch.full((6, 6), float("-inf")), 1))
        f = F.avg_pool1d(a, 2) + F.max_pool1d(a, 3, 2, 1)[:, :, :3]
        g = self.c3(x[:, None, :, :, None].expand(-1, -1, -1, -1, 2))
        h = self.shuffle(self.lrn(a[:, :, :, None].expand(-1, -1, -1, 2))) + F.adaptive_avg_pool2d(a[:, None], (1, 1)).sum()
        k = F.interpolate(x[:, None], scale_factor=(1, 2), mode="bicubic")
        u = F.unfold(x[:, None], 2).sum(1) + F.softmin(x[:, :, :5], 1).sum()
        return self.alpha(torch.cat([t.flatten(1) for t in (d, e, f, g, h, k, u)], 1))


class Function(nn.Module):
    """One function of a tensor that the others lack."""

    def __init__(self, of):
        super().__init__()
        self.w, self.of = nn.Parameter(torch.randn(4, 6)), of

    def forward(self, x):
        return self.of(x @ self.w)


places = lambda: torch.tensor([[0, 2, 2, 1, 5, 0]]).expand(3, 6)
FUNCTIONS = {
    "scatter-add": lambda a: torch.zeros_like(a).scatter_add(1, places(), a), "scatter": lambda a: a.scatter(1, torch.tensor([[1], [0], [3]]), 0.5),
    "expm1": torch.expm1, "log1p": lambda a: torch.log1p(a.abs()), "log2": lambda a: torch.log2(a.abs() + 0.3), "log10": lambda a: torch.log10(a.abs() + 0.3), "rsqrt": lambda a: torch.rsqrt(a.abs() + 0.3), "square": torch.square,
    "minimum": lambda a: torch.minimum(a, -a), "maximum": lambda a: torch.maximum(a, a[:, :1] * 2), "clamp-min": lambda a: a.clamp(min=0.1), "clamp-tensor": lambda a: torch.clamp(a, a[:, :1] - 0.2, a[:, :1] + 0.2),
    "baddbmm": lambda a: torch.baddbmm(a[None] @ a.T[None], a[None], a.T[None]), "outer": lambda a: torch.outer(a[0], a[1]), "unfold": lambda a: a.unfold(1, 2, 2), "unbind": lambda a: torch.stack(a.unbind(1), 1), "chunk": lambda a: torch.cat(a.chunk(3, 1)[::-1], 1),
    "masked-fill": lambda a: a.masked_fill(a > 0.5, 0.0), "tan": lambda a: torch.tan(a * 0.3), "sinh": torch.sinh, "cosh": torch.cosh, "asinh": torch.asinh, "acos": lambda a: torch.acos(torch.tanh(a) * 0.9), "atanh": lambda a: torch.atanh(torch.tanh(a) * 0.9), "erf": torch.erf,
    "sign": lambda a: torch.sign(a) * a, "floor": lambda a: torch.floor(a) + a, "lerp": lambda a: torch.lerp(a, -a, 0.3), "amax": lambda a: a.amax(1, keepdim=True) - a, "amin": lambda a: a.amin(0) + a, "sort": lambda a: a.sort(1).values, "cumsum": lambda a: a.cumsum(0),
    "one-hot": lambda a: F.one_hot(torch.tensor([0, 1, 5]), 6) * a, "index-add": lambda a: a.index_add(0, torch.tensor([0, 2]), a[1:]), "index-put": lambda a: a.index_put((torch.tensor([0, 2]),), a[:2]), "index": lambda a: a[torch.tensor([0, 2]), torch.tensor([1, 1])],
    "index-2": lambda a: a[:, torch.tensor([[0, 1], [5, 5]])], "movedim": lambda a: torch.movedim(a[None], 0, 1)[:, 0], "repeat-interleave": lambda a: a.repeat_interleave(2, 1), "logaddexp": lambda a: torch.logaddexp(a, -a),
    "reflect": lambda a: F.pad(a[None], (2, 1), mode="reflect"), "replicate": lambda a: F.pad(a[None], (2, 1), mode="replicate"), "circular": lambda a: F.pad(a[None], (2, 1), mode="circular"), "cdist": lambda a: torch.cdist(a, a[:2] * 0.5), "mean": lambda a: a.mean(),
    "relu-squared": lambda a: torch.relu(a).pow(2), "cube": lambda a: a.pow(3), "power": lambda a: (a.abs() + 0.3).pow(a), "two-to": lambda a: 2.0**a, "triu": lambda a: torch.triu(a, 1), "diagonal": lambda a: torch.diagonal(a), "layer-norm": lambda a: F.layer_norm(a, (6,)),
    "l1-normalize": lambda a: F.normalize(a, p=1.0, dim=0), "std": lambda a: a.std(0), "max": lambda a: a.max(1).values, "max-all": lambda a: a.max(), "prod": lambda a: a.prod(1), "norm": lambda a: a.norm(), "softmax-0": lambda a: F.softmax(a, 0), "logsigmoid": F.logsigmoid,
    "atan2": lambda a: torch.atan2(a, a.abs() + 0.5), "hypot": lambda a: torch.hypot(a, a + 1), "remainder": lambda a: torch.remainder(a, 0.7), "fmod": lambda a: torch.fmod(a, 0.7), "trunc": lambda a: a - torch.trunc(a), "frac": torch.frac, "xlogy": lambda a: torch.xlogy(a, a.abs() + 0.1),
    "grid-sample": lambda a: F.grid_sample(a[None, None], torch.tanh(a[None, :2, :4].reshape(1, 2, 2, 2)), align_corners=False), "unfold-2d": lambda a: F.unfold(a[None, None], 2), "fold": lambda a: F.fold(a[None, :1].expand(1, 4, 6)[:, :, :2], (2, 3), 2),
    "lp-pool": lambda a: F.lp_pool2d(a[None, None].abs(), 2, (1, 2)), "adaptive-max": lambda a: F.adaptive_max_pool2d(a[None, None], 1), "adaptive-avg": lambda a: F.adaptive_avg_pool2d(a[None, None], (3, 2)), "max-pool-ceil": lambda a: F.max_pool2d(a[None, None], 2, 2, ceil_mode=True), "avg-pool-ceil": lambda a: F.avg_pool2d(a[None, None], 2, 2, ceil_mode=True),
    "conv3d": lambda a: F.conv3d(a[None, None, None], torch.ones(2, 1, 1, 2, 2, dtype=a.dtype)), "max-pool3d": lambda a: F.max_pool3d(a[None, None, None], (1, 3, 2)), "nearest-1d": lambda a: F.interpolate(a[None], scale_factor=2, mode="nearest"), "linear-1d": lambda a: F.interpolate(a[None], scale_factor=2, mode="linear"),
    "trilinear": lambda a: F.interpolate(a[None, None, None], scale_factor=(1, 2, 2), mode="trilinear"), "channel-shuffle": lambda a: F.channel_shuffle(a.T[None, :, :, None], 2), "pixel-unshuffle": lambda a: F.pixel_unshuffle(a[None, :2], 2), "einsum-diagonal": lambda a: torch.einsum("ij,ij->i", a, a),
    "einsum-many": lambda a: torch.einsum("ij,kj,lj->ikl", a, a, a), "var-mean": lambda a: sum(torch.var_mean(a, 1)), "logcumsumexp": lambda a: torch.logcumsumexp(a, 1), "cumprod": lambda a: torch.cumprod(a, 1), "glu": F.glu, "rrelu": lambda a: F.rrelu(a), "threshold": lambda a: F.threshold(a, 0.1, 0.5),
    "hardshrink": lambda a: F.hardshrink(a, 0.3), "celu": lambda a: F.celu(a, 0.7), "clip-grad": lambda a: torch.clamp(a, -0.3, 0.3), "where": lambda a: torch.where(a > 0, a * 2, a), "kron": lambda a: torch.kron(a[:1], a[1:2]), "tile": lambda a: a.tile(2, 1), "narrow": lambda a: a.narrow(1, 1, 3),
    "select": lambda a: a.select(1, 2), "masked-mean": lambda a: (a * (a > 0)).sum(1) / (a > 0).sum(1).clamp(min=1), "tensordot": lambda a: torch.tensordot(a, a, ([1], [1])), "addcmul": lambda a: torch.addcmul(a, a, a, value=0.5), "addcdiv": lambda a: torch.addcdiv(a, a, a.abs() + 1), "gather-nd": lambda a: torch.take_along_dim(a, places(), 1),
}

ids = lambda *s: torch.randint(1, 40, s)
image = lambda *s: torch.randn(*s)
MODELS = {
    "activations": (Activations, lambda: (image(3, 6),)),
    "cnn": (Cnn, lambda: (image(2, 1, 8, 8),)),
    "cnn-train": (Cnn, lambda: (image(4, 1, 8, 8),)),
    "lenet": (LeNet, lambda: (image(2, 1, 16, 16),)),
    "resnet": (ResNet, lambda: (image(2, 3, 16, 16),)),
    "resnet-train": (ResNet, lambda: (image(3, 3, 16, 16),)),
    "mobile": (Mobile, lambda: (image(2, 4, 6, 6),)),
    "unet": (UNet, lambda: (image(1, 2, 8, 8),)),
    "bert": (Bert, lambda: (ids(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]]))),
    "bert-by-hand": (BertByHand, lambda: (ids(2, 5), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]))),
    "gpt": (Gpt, lambda: (ids(2, 6),)),
    "gpt-by-hand": (lambda: Gpt(sdpa=False, tied=False), lambda: (ids(2, 6),)),
    "llama": (Llama, lambda: (ids(2, 6),)),
    "cells": (Cells, lambda: (image(2, 3, 3),)),


    "bag": (Bag, lambda: (ids(3, 4),)),
    "pooled": (Pooled, lambda: (ids(3, 4), torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]))),
    "losses": (Losses, lambda: (image(4, 4), torch.tensor([2, 0, 1, 2]), torch.tensor([0.0, 1.0, 1.0, 0.0]))),
    "layers": (Layers, lambda: (image(2, 3, 6),)),
    "tensors": (Tensors, lambda: (image(3, 4),)),
}
MODELS |= {f"f-{name}": (lambda of=of: Function(of), lambda: (image(3, 4),)) for name, of in FUNCTIONS.items()}
FIXTURES = [("activations", "legacy", 20), ("cnn-train", "legacy", 17), ("resnet", "legacy", 17), ("mobile", "legacy", 13), ("bert", "dynamo", 20), ("bert-by-hand", "legacy", 13), ("gpt", "legacy", 17), ("llama", "dynamo", 20), ("cells", "legacy", 13), ("bag", "legacy", 13), ("pooled", "dynamo", 18), ("losses", "dynamo", 18), ("tensors", "dynamo", 18)]


def text(array):
    return base64.b64encode(np.ascontiguousarray(array)).decode()


def write(folder, name, path, opset):
    torch.manual_seed(11)
    make, feed = MODELS[name]
    model = make().float()
    training = name.endswith("-train")
    model.train(training)
    with torch.no_grad():
        # No two alike: that is how initializers are told apart.
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.3 + (1 if p.dim() == 1 and p.numel() > 1 else 0) * 0.5)
        for key, b in model.named_buffers():
            if "running" in key:
                b.copy_(torch.rand_like(b) + 0.5)
    inputs = feed()
    ys, grads, inward = reference(model, inputs)
    buffer = io.BytesIO()
    # An export may change the module: it is given a copy.
    copy = make().float().train(training)
    copy.load_state_dict(model.state_dict())
    if path == "legacy":
        mode = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(copy, inputs, buffer, opset_version=opset, dynamo=False, training=mode, do_constant_folding=False)
    else:
        torch.onnx.export(copy, inputs, dynamo=True, opset_version=opset, verbose=False, optimize=path == "dynamo").save(buffer)
    proto = onnx.load_from_string(buffer.getvalue())
    named, missing = match(proto, model, grads)
    label = f"{name}.{path}.{opset}"
    for value in proto.graph.value_info:
        value.Clear()
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.save(proto, folder / f"{label}.onnx")
    record = {
        "inputs": [{"name": i.name, "type": str(t.dtype).removeprefix("torch."), "shape": list(t.shape), "data": text(t.numpy())} for i, t in zip(proto.graph.input, inputs)],
        "outputs": [{"name": o.name, "data": text(y.detach().numpy())} for o, y in zip(proto.graph.output, ys)],
        "inputGradients": {i.name: text(g.astype(np.float32)) for i, g in zip(proto.graph.input, inward) if g is not None},
        "gradients": named,
        "missing": missing,
    }
    (folder / f"{label}.json").write_text(json.dumps(record) + "\n")
    print(label, f"{len(named)} gradients" + (f", no initializer for {missing}" if missing else ""), flush=True)


def reference(model, inputs):
    """Outputs in f32, gradients in f64."""
    state = {k: v.clone() for k, v in model.state_dict().items()}
    ys = model(*inputs)
    model.load_state_dict(state)
    model.double()
    given = [t.double().requires_grad_() if t.is_floating_point() else t for t in inputs]
    exact = model(*given)
    exact = exact if isinstance(exact, tuple) else (exact,)
    loss = 0
    for k, y in enumerate(exact):
        place = (torch.arange(y.numel()) % 13).double().reshape(y.shape)
        loss = loss + (y * torch.sin(1.7 * place + 7.3 + k)).sum()
    loss.backward()
    grads = {k: p.grad.numpy() for k, p in model.named_parameters() if p.grad is not None}
    inward = [None if t.grad is None else t.grad.numpy() for t in given]
    model.float()
    model.load_state_dict(state)
    return ys if isinstance(ys, tuple) else (ys,), grads, inward


def match(proto, model, grads):
    """Initializers of each parameter by their numbers: as they are, with axes of size 1, or turned; several where it is tied."""
    named, missing = {}, []
    tensors = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Constant":
            tensors |= {node.output[0]: numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"}
    for key, parameter in model.named_parameters():
        value = parameter.detach().numpy()
        same = [name for name, array in tensors.items() if array.dtype == np.float32 and array.size == value.size and np.array_equal(array.ravel(), value.ravel()) and (array.shape == value.shape or array.size == max(array.shape))]
        turned = [name for name, array in tensors.items() if name not in same and array.dtype == np.float32 and value.ndim == 2 and array.shape == value.T.shape and np.array_equal(array, value.T)]
        if same or turned:
            named[key] = {"same": same, "turned": turned, "shape": list(value.shape), "data": text(grads[key].astype(np.float32))}
        else:
            missing.append(key)
    return named, missing


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    chosen = FIXTURES if "--fixtures" in sys.argv else [(name, path, opset) for name in MODELS for path, opset in [("legacy", 13), ("legacy", 15), ("legacy", 17), ("legacy", 20), ("dynamo", 18), ("dynamo", 20), ("dynamo", 21), ("dynamo", 23), ("dynamo-plain", 18)]]
    only = [a for a in sys.argv[2:] if not a.startswith("--")]
    for name, path, opset in chosen:
        if only and name not in only or name.startswith("f-") and (path, opset) not in (("legacy", 17), ("dynamo", 18)):
            continue
        # The newer exporter folds batch statistics as if they were constants.
        if path != "legacy" and name.endswith("-train"):
            continue
        try:
            write(folder, name, path, opset)
        except Exception as error:  # an exporter that cannot is no failure of ours
            print(f"{name}.{path}.{opset} not exported: {type(error).__name__} {str(error).strip().splitlines()[0][:160] if str(error) else ''}", flush=True)
