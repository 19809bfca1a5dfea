"""Losses of training by PyTorch, for parity.test.ts (tiny models) and bench/parity.bench.ts (full ones).

python parity.py tiny > parity.json; python parity.py full [CASE [WEIGHTS.safetensors]] prints {"case": {"losses": [...], "milliseconds": median of a step}}
"""
import json
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "nn/test/goldens"))
import torch_models as models  # noqa: E402

torch.set_num_threads(1)
size = sys.argv[1] if len(sys.argv) > 1 else "tiny"
only = sys.argv[2] if len(sys.argv) > 2 else None
STEPS = 20 if size == "tiny" else 100
WINDOW = 1_000_003


def numbers(step, *shape):
    """Batches by a formula that the other side knows: support/parity-cases.ts."""
    count = 1
    for each in shape:
        count *= each
    x = (torch.arange(count, dtype=torch.int64) * 7919 + step * 104_729) % WINDOW
    return ((x * 48_271 % 2_147_483_647).double() / 2_147_483_647 * 2 - 1).float().reshape(shape)


def wholes(step, below, *shape):
    count = 1
    for each in shape:
        count *= each
    return ((torch.arange(count, dtype=torch.int64) * 7919 + step * 104_729) % WINDOW * 48_271 % 2_147_483_647 % below).reshape(shape)


def vision(model, batch, *shape, classes=10):
    """Each class is a pattern under noise: there is something to learn."""
    patterns = torch.stack([numbers(1000 + label, *shape) for label in range(classes)])

    def loss_of(step):
        labels = wholes(step, classes, batch)
        return F.cross_entropy(model(numbers(step, batch, *shape) * 0.5 + patterns[labels]), labels)

    return model, loss_of


def gpt(model, batch, length, vocabulary):
    """Each row counts on from a start by 1, 2 or 3: there is something to learn."""

    def loss_of(step):
        rows = (wholes(step, vocabulary, batch)[:, None] + torch.arange(length + 1)[None, :] * (1 + wholes(step + 1, 3, batch))[:, None]) % vocabulary
        return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())

    return model, loss_of


def bert(model, batch, length, vocabulary, classes):
    """Each text is one token shorter than the one before; its second token tells the class."""
    mask = (torch.arange(length)[None, :] < length - (torch.arange(batch) % (length // 2))[:, None]).long()

    def loss_of(step):
        ids, labels = wholes(step, vocabulary, batch, length), wholes(step + 1, classes, batch)
        ids[:, 1] = labels + 1
        return F.cross_entropy(model(ids, mask), labels)

    return model, loss_of


CASES = {
    "tiny": {
        "mlp": lambda: vision(models.Mlp(16, [8], 10), 8, 16),
        "lenet": lambda: vision(models.LeNet(), 4, 1, 28, 28),
        "small cnn": lambda: vision(models.SmallCnn(flat=576), 4, 1, 12, 12),
        "resnet": lambda: vision(models.ResNet((1, 1), (8, 12)), 4, 3, 16, 16),
        "gpt": lambda: gpt(models.Gpt(50, 2, 16, 2, 8), 2, 8, 50),
        "bert": lambda: bert(models.BertClassifier(50, 2, 16, 2, 8, 5), 4, 8, 50, 5),
    },
    "full": {
        "mlp": lambda: vision(models.Mlp(784, [128], 10), 32, 784),
        "lenet": lambda: vision(models.LeNet(), 64, 1, 28, 28),
        "small cnn": lambda: vision(models.SmallCnn(), 64, 1, 28, 28),
        "resnet": lambda: vision(models.ResNet(), 32, 3, 32, 32),
        "gpt": lambda: gpt(models.Gpt(256, 4, 128, 4, 64), 16, 64, 256),
        "bert": lambda: bert(models.BertClassifier(30_522, 4, 256, 4, 64, 77), 16, 64, 30_522, 77),
    },
}

results = {}
for name, build in CASES[size].items():
    if only is not None and name != only:
        continue
    model, loss_of = build()
    if len(sys.argv) > 3:
        from safetensors.torch import load_file

        model.load_state_dict(load_file(sys.argv[3]), strict=False)
    else:
        models.fill(model)
    model.train()
    # A rate at which a post-norm transformer learns from scratch, without a warm-up.
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4 if size == "full" and name == "bert" else 1e-3)
    losses, times = [], []
    for step in range(STEPS):
        began = time.perf_counter()
        loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(f"{loss.item():.8g}"))
        times.append(time.perf_counter() - began)
    results[name] = {"losses": losses, **({} if size == "tiny" else {"milliseconds": round(statistics.median(times[5:]) * 1e3, 3)})}
print(json.dumps(results, separators=(",", ":")).replace("},", "},\n"))
