# Makes loss-curves.json with PyTorch: run by hand (pip install torch), results are committed. First weights and batches are
# formulas, the same as in loss-curves.test.ts.
import json, math, pathlib
import torch
import torch.nn as nn
import torch.nn.functional as F

STEPS = 100


def numbers(count, seed):
    return torch.tensor([math.sin((i + 1) * 12.9898 + seed * 7.1) for i in range(count)], dtype=torch.float64)


def set_weights(model):
    for index, (name, p) in enumerate(model.named_parameters()):
        with torch.no_grad():
            scale = 0.5 / math.sqrt(p.shape[-1]) if p.dim() > 1 else 0.1
            offset = 1.0 if "norm" in name or "ln_" in name else 0.0
            offset = offset if name.endswith("weight") and p.dim() == 1 else 0.0
            p.copy_((numbers(p.numel(), len(name)) * scale + offset).float().reshape(p.shape))


def curve(model, optimizer, batch_of, clip=None, schedule=None):
    losses = []
    for step in range(STEPS):
        x, target = batch_of(step)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, -2), target.flatten())
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if schedule:
            schedule.step()
        losses.append(loss.item())
    return losses


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 3)])

    def forward(self, x):
        return self.layers[1](F.relu(self.layers[0](x)))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4 * 9, 3)

    def forward(self, x):
        return self.fc(F.max_pool2d(F.relu(self.norm(self.conv(x))), 2).flatten(1))


class Gpt(nn.Module):
    def __init__(self, width=16, heads=2):
        super().__init__()
        self.heads = heads
        self.wte, self.wpe = nn.Embedding(40, width), nn.Embedding(8, width)
        self.ln_1, self.ln_2, self.ln_f = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.c_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head = nn.Linear(width, 40, bias=False)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        q, k, v = (each.view(*each.shape[:2], self.heads, -1).transpose(1, 2) for each in self.c_attn(self.ln_1(x)).chunk(3, -1))
        x = x + self.c_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        x = x + self.c_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))
        return self.head(self.ln_f(x))


def rows(count, shape, step):
    x = numbers(count * math.prod(shape), step % 5)
    labels = torch.tensor([(i * 7 + step % 5) % 3 for i in range(count)])
    return x.float().reshape(count, *shape), labels


def text(step):
    ids = torch.tensor([[(i * i + j * 3 + step % 5 * 11) % 40 for j in range(8)] for i in range(4)])
    return ids, torch.roll(ids, -1, 1)


curves, states = {}, {}
for name, model, make, batch_of, clip in [
    ("mlp", Mlp(), lambda p: torch.optim.Adam(p, lr=0.01), lambda s: rows(16, (8,), s), None),
    ("cnn", Cnn(), lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), lambda s: rows(8, (1, 6, 6), s), None),
    ("gpt", Gpt(), lambda p: torch.optim.Adam(p, lr=0.01), text, 0.5),
]:
    set_weights(model)
    optimizer = make(model.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.001) if name == "gpt" else None
    curves[name] = curve(model, optimizer, batch_of, clip, schedule)
    if name == "cnn":
        states = {"running_mean": model.norm.running_mean.tolist(), "running_var": model.norm.running_var.tolist()}
pathlib.Path(__file__).with_name("loss-curves.json").write_text(json.dumps({"curves": curves, "cnn": states}) + "\n")
print({k: (v[0], v[-1]) for k, v in curves.items()})
