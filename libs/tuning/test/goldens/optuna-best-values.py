"""Writes optuna-best-values.json: the best value that Optuna's samplers reach on standard functions, one a seed.
Run with Optuna 5.0.0: `python optuna-best-values.py > optuna-best-values.json` (minutes)."""
import json
import math
import statistics
import warnings

import optuna

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)

A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991], [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
C = [1, 1.2, 3, 3.2]


def sphere(t):
    return sum(t.suggest_float(f"x{i}", -5, 5) ** 2 for i in range(4))


def branin(t):
    x, y = t.suggest_float("x", -5, 10), t.suggest_float("y", 0, 15)
    return (y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(t):
    x = [t.suggest_float(f"x{i}", 0, 1) for i in range(6)]
    return -sum(C[i] * math.exp(-sum(A[i][j] * (x[j] - 1e-4 * P[i][j]) ** 2 for j in range(6))) for i in range(4))


def rastrigin(t):
    x = [t.suggest_float(f"x{i}", -5.12, 5.12) for i in range(4)]
    return 40 + sum(v * v - 10 * math.cos(2 * math.pi * v) for v in x)


def mixed(t):
    rate = t.suggest_float("rate", 1e-5, 1, log=True)
    units = t.suggest_int("units", 8, 512, log=True)
    layers = t.suggest_int("layers", 1, 6)
    kind = t.suggest_categorical("kind", ["adam", "sgd", "lion"])
    best = {"adam": -3, "sgd": -1, "lion": -4}[kind]
    return (math.log10(rate) - best) ** 2 + 0.1 * (math.log2(units) - 6.3) ** 2 + 0.2 * (layers - 3) ** 2 + {"adam": 0, "sgd": 0.3, "lion": 0.1}[kind]


def conditional(t):
    if t.suggest_categorical("family", ["linear", "mlp"]) == "linear":
        return 0.5 + (math.log10(t.suggest_float("l2", 1e-6, 1, log=True)) + 3) ** 2 / 10
    rate = t.suggest_float("rate", 1e-5, 1, log=True)
    layers = t.suggest_int("layers", 1, 5)
    return (math.log10(rate) + 2.5) ** 2 / 4 + 0.1 * (layers - 2) ** 2 + 0.05 * layers


FUNCTIONS = {"sphere": sphere, "branin": branin, "hartmann6": hartmann6, "rastrigin": rastrigin, "mixed": mixed, "conditional": conditional}
SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "sobol": lambda seed: optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
}
SEEDS, TRIALS = 20, 100


def run(function, make):
    """Best values by seed, and the median of the best so far after 10, 20, … trials."""
    best, so_far = [], []
    for seed in range(SEEDS):
        study = optuna.create_study(sampler=make(seed))
        study.optimize(function, n_trials=TRIALS)
        best.append(float(f"{study.best_value:.6g}"))
        values = [t.value for t in study.trials]
        so_far.append([min(values[:n]) for n in range(10, TRIALS + 1, 10)])
    return best, [float(f"{statistics.median(column):.6g}") for column in zip(*so_far)]


if __name__ == "__main__":
    import sys

    names = sys.argv[1:] or ["tpe", "random", "sobol"]
    out, curves = {}, {}
    for name, function in FUNCTIONS.items():
        for sampler in names:
            try:
                best, curve = run(function, SAMPLERS[sampler])
                out.setdefault(name, {})[sampler] = best
                curves.setdefault(name, {})[sampler] = curve
            except ImportError:
                print(f"{sampler}: not installed", file=sys.stderr)
    print(json.dumps({"optuna": optuna.__version__, "seeds": SEEDS, "trials": TRIALS, "best": out, "medianSoFar": curves}, separators=(",", ":")))
