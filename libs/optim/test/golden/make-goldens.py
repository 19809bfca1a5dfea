# Makes optimizers.json and schedules.json with PyTorch: run by hand (pip install torch), results are committed.
# Lion and LAMB are not in PyTorch; they are written here from their papers, in float64.
import json, math, pathlib
import torch

torch.manual_seed(0)
here = pathlib.Path(__file__).parent
STEPS, SIZE = 8, 12
start = torch.randn(SIZE)
gradients = [torch.randn(SIZE) * (0.5 + step) for step in range(STEPS)]


def run(make):
    p = torch.nn.Parameter(start.clone())
    optimizer = make([p])
    path = []
    for g in gradients:
        p.grad = g.clone()
        optimizer.step()
        path.append(p.detach().tolist())
    return path


def lion(lr, beta1, beta2, decay):
    p, m, path = start.double(), torch.zeros(SIZE).double(), []
    for g in gradients:
        g = g.double()
        p = p * (1 - lr * decay) - lr * torch.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        path.append(p.tolist())
    return path


def lamb(lr, beta1, beta2, eps, decay):
    p, m, v, path = start.double(), torch.zeros(SIZE).double(), torch.zeros(SIZE).double(), []
    for t, g in enumerate(gradients, 1):
        g = g.double()
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        u = (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps) + decay * p
        p = p - lr * (p.norm() / u.norm()) * u
        path.append(p.tolist())
    return path


O = torch.optim
optimizers = {
    "sgd": run(lambda p: O.SGD(p, lr=0.1)),
    "sgd momentum l2": run(lambda p: O.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01)),
    "sgd nesterov": run(lambda p: O.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    "adam": run(lambda p: O.Adam(p, lr=0.01)),
    "adam l2": run(lambda p: O.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    "adamw": run(lambda p: O.AdamW(p, lr=0.01, weight_decay=0.1)),
    "rmsprop": run(lambda p: O.RMSprop(p, lr=0.01)),
    "rmsprop momentum l2": run(lambda p: O.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.9, weight_decay=0.1)),
    "adagrad": run(lambda p: O.Adagrad(p, lr=0.1)),
    "adagrad decay l2": run(lambda p: O.Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.1)),
    "lion": lion(0.01, 0.9, 0.99, 0.1),
    "lamb": lamb(0.01, 0.9, 0.999, 1e-6, 0.01),
}
(here / "optimizers.json").write_text(json.dumps({"start": start.tolist(), "gradients": [g.tolist() for g in gradients], "paths": optimizers}) + "\n")


def rates(make, steps=60):
    optimizer = O.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    out = []
    for _ in range(steps):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return out


S = O.lr_scheduler
schedules = {
    "step": rates(lambda o: S.StepLR(o, 7, 0.3)),
    "cosine": rates(lambda o: S.CosineAnnealingLR(o, 60, eta_min=0.1)),
    "linear": rates(lambda o: S.LinearLR(o, 1.0, 0.2, 40)),
    "one cycle": rates(lambda o: S.OneCycleLR(o, 1.0, total_steps=60)),
    "warm-up then cosine": rates(lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 10), S.CosineAnnealingLR(o, 50)], [10])),
}


def plateau_rates(values, **settings):
    optimizer = O.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = S.ReduceLROnPlateau(optimizer, **settings)
    out = []
    for value in values:
        schedule.step(value)
        out.append(optimizer.param_groups[0]["lr"])
    return out


values = [1, 0.9, 0.9, 0.95, 0.9, 0.91, 0.92, 0.8, 0.79999, 0.81, 0.82, 0.83, 0.84, 0.85, 0.85, 0.86, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76]
plateaus = {
    "min": plateau_rates(values, factor=0.5, patience=2),
    "max": plateau_rates([1 - v for v in values], mode="max", factor=0.5, patience=2, threshold=0.01, threshold_mode="abs"),
    "cooldown": plateau_rates(values, factor=0.1, patience=1, cooldown=2, min_lr=0.005),
}
(here / "schedules.json").write_text(json.dumps({"schedules": schedules, "values": values, "plateaus": plateaus}) + "\n")

p = torch.nn.Linear(3, 1, bias=False)
average = torch.optim.swa_utils.AveragedModel(p, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
weights, averages = [], []
for step in range(6):
    with torch.no_grad():
        p.weight.copy_(torch.randn(1, 3))
    average.update_parameters(p)
    weights.append(p.weight.flatten().tolist())
    averages.append(average.module.weight.flatten().tolist())
clip = torch.nn.Parameter(torch.zeros(SIZE))
clip.grad = gradients[3].clone()
norm = torch.nn.utils.clip_grad_norm_([clip], 1.5).item()
(here / "average-and-clip.json").write_text(json.dumps({"weights": weights, "averages": averages, "gradient": gradients[3].tolist(), "norm": norm, "clipped": clip.grad.tolist()}) + "\n")
