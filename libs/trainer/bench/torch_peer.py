"""The same training steps in PyTorch, driven over stdin by step-time.bench.ts.

Each line of stdin is a JSON command, each answer a line of JSON. Weights and batches come as safetensors files, so that both
sides begin alike and see the same numbers.
"""
import json
import struct
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


def read_safetensors(path):
    data = bytearray(open(path, "rb").read())
    (length,) = struct.unpack("<Q", data[:8])
    kinds = {"F32": torch.float32, "I64": torch.int64}
    out = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        piece = data[8 + length + start : 8 + length + end]
        out[name] = torch.frombuffer(piece, dtype=kinds[entry["dtype"]]).reshape(entry["shape"]).clone()
    return out


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(784, 128), nn.Linear(128, 10)])

    def forward(self, x):
        return self.layers[1](F.relu(self.layers[0](x)))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(64 * 49, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


def split_heads(x, heads):
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.c_attn, self.attn.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = (split_heads(each, self.heads) for each in self.attn.c_attn(self.ln_1(x)).chunk(3, -1))
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.attn.c_proj(seen)
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, vocabulary=256, layers=4, width=128, heads=4, positions=64):
        super().__init__()
        body = self.transformer = nn.Module()
        body.wte, body.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        body.h = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        body.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        body = self.transformer
        x = body.wte(ids) + body.wpe(torch.arange(ids.shape[1]))
        for block in body.h:
            x = block(x)
        return self.lm_head(body.ln_f(x))


class BertLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention, self.attention.self, self.attention.output = nn.Module(), nn.Module(), nn.Module()
        for name in ("query", "key", "value"):
            setattr(self.attention.self, name, nn.Linear(width, width))
        self.attention.output.dense, self.attention.output.LayerNorm = nn.Linear(width, width), nn.LayerNorm(width, eps=1e-12)
        self.intermediate, self.output = nn.Module(), nn.Module()
        self.intermediate.dense = nn.Linear(width, 4 * width)
        self.output.dense, self.output.LayerNorm = nn.Linear(4 * width, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, x):
        own = self.attention.self
        q, k, v = (split_heads(project(x), self.heads) for project in (own.query, own.key, own.value))
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = self.attention.output.LayerNorm(self.attention.output.dense(seen) + x)
        return self.output.LayerNorm(self.output.dense(F.gelu(self.intermediate.dense(x))) + x)


class Bert(nn.Module):
    def __init__(self, vocabulary=30522, layers=4, width=256, heads=4, positions=64, classes=77):
        super().__init__()
        body = self.bert = nn.Module()
        tables = body.embeddings = nn.Module()
        tables.word_embeddings, tables.position_embeddings = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        tables.token_type_embeddings, tables.LayerNorm = nn.Embedding(2, width), nn.LayerNorm(width, eps=1e-12)
        body.encoder = nn.Module()
        body.encoder.layer = nn.ModuleList([BertLayer(width, heads) for _ in range(layers)])
        body.pooler = nn.Module()
        body.pooler.dense = nn.Linear(width, width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, ids):
        tables = self.bert.embeddings
        x = tables.word_embeddings(ids) + tables.token_type_embeddings(torch.zeros_like(ids)) + tables.position_embeddings(torch.arange(ids.shape[1]))
        x = tables.LayerNorm(x)
        for layer in self.bert.encoder.layer:
            x = layer(x)
        return self.classifier(torch.tanh(self.bert.pooler.dense(x[:, 0])))


MODELS = {"mlp": Mlp, "lenet": LeNet, "cnn": Cnn, "gpt": Gpt, "bert": Bert}


def load(command):
    torch.set_num_threads(command["threads"])
    state = read_safetensors(command["weights"])
    batches = read_safetensors(command["batches"])
    count = 1 + max(int(name.split("/")[0]) for name in batches)
    inputs = [batches.get(f"{i}/x", batches.get(f"{i}/input_ids")) for i in range(count)]
    labels = [batches[f"{i}/labels"] for i in range(count)]
    trainers = {}
    for kind, fused in (("default", None), ("fused", True)):
        model = MODELS[command["model"]]()
        model.load_state_dict(state, strict=True)
        trainers[kind] = (model, torch.optim.Adam(model.parameters(), fused=fused), [0])
    return trainers, inputs, labels


def steps(trainer, inputs, labels, count):
    model, optimizer, done = trainer
    losses = []
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        x, target = inputs[done[0] % len(inputs)], labels[done[0] % len(inputs)]
        optimizer.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits.flatten(0, -2), target.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        done[0] += 1
    return {"wallMs": (time.perf_counter() - wall) * 1000 / count, "cpuMs": (time.process_time() - cpu) * 1000 / count, "losses": losses}


loaded = None
print(json.dumps({"version": torch.__version__}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["do"] == "load":
        loaded = load(command)
        print(json.dumps({}), flush=True)
    else:
        trainers, inputs, labels = loaded
        print(json.dumps(steps(trainers[command["optimizer"]], inputs, labels, command["count"])), flush=True)
