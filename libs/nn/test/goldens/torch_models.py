"""The ready models of @servable/nn in PyTorch, with the same parameter names: a second implementation for goldens and benches."""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        sizes = [inputs, *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class LeNet(nn.Module):
    def __init__(self, channels=1, classes=10, flat=400):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(flat, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class SmallCnn(nn.Module):
    def __init__(self, channels=1, classes=10, flat=3136):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(flat, 128), nn.Linear(128, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class BasicBlock(nn.Module):
    def __init__(self, before, channels, stride, pad):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.missing = stride, channels - before
        self.downsample = None if pad or (stride == 1 and before == channels) else nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            x = self.downsample(x)
        elif self.missing > 0:
            front = self.missing // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, front, self.missing - front))
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, blocks=(3, 3, 3), channels=(16, 32, 64), classes=10, large=False, pad=True, head="linear"):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels[0], 7, 2, 3, bias=False) if large else nn.Conv2d(3, channels[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.large, self.head, self.stages = large, head, len(blocks)
        before = channels[0]
        for stage, (count, size) in enumerate(zip(blocks, channels)):
            layers = []
            for block in range(count):
                layers.append(BasicBlock(before, size, 2 if stage > 0 and block == 0 else 1, pad))
                before = size
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))
        setattr(self, head, nn.Linear(before, classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in range(self.stages):
            x = getattr(self, f"layer{stage + 1}")(x)
        return getattr(self, self.head)(x.mean((2, 3)))


def heads_of(x, heads):
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def joined(x):
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


class Holder(nn.Module):
    """A module that only holds others, for their names."""

    def __init__(this, /, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(this, name, module)


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Holder(c_attn=nn.Linear(width, 3 * width), c_proj=nn.Linear(width, width))
        self.mlp = Holder(c_fc=nn.Linear(width, 4 * width), c_proj=nn.Linear(4 * width, width))

    def forward(self, x):
        q, k, v = (heads_of(part, self.heads) for part in self.attn.c_attn(self.ln_1(x)).chunk(3, -1))
        x = x + self.attn.c_proj(joined(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, vocabulary, layers, width, heads, positions):
        super().__init__()
        self.transformer = Holder(wte=nn.Embedding(vocabulary, width), wpe=nn.Embedding(positions, width), h=nn.ModuleList(GptBlock(width, heads) for _ in range(layers)), ln_f=nn.LayerNorm(width))

    def forward(self, ids):
        body = self.transformer
        x = body.wte(ids) + body.wpe(torch.arange(ids.shape[1]))
        for block in body.h:
            x = block(x)
        return F.linear(body.ln_f(x), body.wte.weight)


class BertLayer(nn.Module):
    def __init__(self, width, heads, intermediate, epsilon):
        super().__init__()
        self.heads = heads
        self.attention = Holder(self=Holder(query=nn.Linear(width, width), key=nn.Linear(width, width), value=nn.Linear(width, width)), output=Holder(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, epsilon)))
        self.intermediate = Holder(dense=nn.Linear(width, intermediate))
        self.output = Holder(dense=nn.Linear(intermediate, width), LayerNorm=nn.LayerNorm(width, epsilon))

    def forward(self, x, seen):
        own = self.attention
        inner = getattr(own, "self")
        q, k, v = (heads_of(project(x), self.heads) for project in (inner.query, inner.key, inner.value))
        x = own.output.LayerNorm(own.output.dense(joined(F.scaled_dot_product_attention(q, k, v, attn_mask=seen))) + x)
        return self.output.LayerNorm(self.output.dense(F.gelu(self.intermediate.dense(x))) + x)


class BertClassifier(nn.Module):
    def __init__(self, vocabulary, layers, width, heads, positions, classes, pooling="first", epsilon=1e-12):
        super().__init__()
        embeddings = Holder(word_embeddings=nn.Embedding(vocabulary, width), position_embeddings=nn.Embedding(positions, width), token_type_embeddings=nn.Embedding(2, width), LayerNorm=nn.LayerNorm(width, epsilon))
        encoder = Holder(layer=nn.ModuleList(BertLayer(width, heads, 4 * width, epsilon) for _ in range(layers)))
        self.bert = Holder(embeddings=embeddings, encoder=encoder, **({"pooler": Holder(dense=nn.Linear(width, width))} if pooling == "first" else {}))
        self.classifier = nn.Linear(width, classes)
        self.pooling = pooling

    def forward(self, input_ids, attention_mask):
        tables = self.bert.embeddings
        x = tables.LayerNorm(tables.word_embeddings(input_ids) + tables.token_type_embeddings.weight[0] + tables.position_embeddings(torch.arange(input_ids.shape[1])))
        seen = attention_mask.bool()[:, None, None, :]
        for layer in self.bert.encoder.layer:
            x = layer(x, seen)
        if self.pooling == "first":
            return self.classifier(torch.tanh(self.bert.pooler.dense(x[:, 0])))
        weights = attention_mask[..., None].float()
        return self.classifier((x * weights).sum(1) / weights.sum(1))


def fill(module):
    """Parameters by a formula that the other side knows, see parameterFormula of @servable/testing: no golden file holds weights."""
    for name, value in module.state_dict().items():
        if value.dtype == torch.float32:
            value.copy_(formula(name, list(value.shape)))
    return module


def formula(name, shape):
    count = math.prod(shape)
    key = sum((index + 1) * ord(character) for index, character in enumerate(name)) % 1009
    # Integers below 2^53 alone: the same on every machine.
    x = (torch.arange(count, dtype=torch.int64) + 1) * 48271 + key * 69621
    u = ((x * 16807 % 2147483647) * 48271 % 2147483647).double() / 2147483647 * 2 - 1
    if name.endswith("running_var"):
        u = 1 + 0.3 * u
    elif len(shape) > 1:
        u = u / math.sqrt(count / shape[0])
    elif name.endswith("weight"):
        u = 1 + 0.1 * u
    else:
        u = 0.1 * u
    return u.float().reshape(shape)
