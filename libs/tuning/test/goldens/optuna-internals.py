"""Writes optuna-internals.json: what Optuna's Parzen estimators, trial split, pruners and importances answer for given
observations. Run with Optuna 5.0.0: `python optuna-internals.py > optuna-internals.json`."""
import json
import math
import warnings

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from optuna.samplers._tpe import _truncnorm
from optuna.trial import TrialState, create_trial

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)

# Which of two equal observations comes first decides their bandwidths; NumPy's default sort leaves it to chance.
_argsort = np.argsort
np.argsort = lambda a, kind=None: _argsort(a, kind="stable")

SPACE = {
    "x": FloatDistribution(-5, 10),
    "rate": FloatDistribution(1e-4, 1, log=True),
    "half": FloatDistribution(0, 2, step=0.5),
    "units": IntDistribution(1, 300),
    "batch": IntDistribution(8, 512, log=True),
    "kind": CategoricalDistribution(["a", "b", "c"]),
}


def observe(rng, count):
    return {
        "x": rng.uniform(-5, 10, count),
        "rate": np.exp(rng.uniform(math.log(1e-4), 0, count)),
        "half": rng.randint(0, 5, count) * 0.5,
        "units": rng.randint(1, 301, count).astype(float),
        "batch": np.round(np.exp(rng.uniform(math.log(8), math.log(512), count))),
        "kind": rng.randint(0, 3, count).astype(float),
    }


def rows(observations):
    return [list(map(float, row)) for row in np.stack(list(observations.values()), axis=1)]


def parzen(count):
    rng = np.random.RandomState(count)
    observations = observe(rng, count)
    probes = observe(rng, 6)
    estimator = _ParzenEstimator(observations, SPACE, _ParzenEstimatorParameters(1.0, True, False, default_weights, True))
    mixture = estimator._mixture_distribution
    return {
        "points": rows(observations) if count else [],
        "probes": rows(probes),
        "weights": mixture.weights.tolist(),
        "mu": [d.mu.tolist() for d in mixture.distributions[:-1]],
        "sigma": [d.sigma.tolist() for d in mixture.distributions[:-1]],
        "probabilities": mixture.distributions[-1].weights.ravel().tolist(),
        "logDensities": estimator.log_pdf(probes).tolist(),
    }


def quantiles():
    cases = []
    for mu, sigma, low, high in [(0, 1, -1, 2), (5, 0.5, -5, 10), (-30, 1, 0, 1), (40, 1, 0, 1), (0.5, 100, 0, 1)]:
        for share in [0.001, 0.25, 0.5, 0.9, 0.9999]:
            a, b = (low - mu) / sigma, (high - mu) / sigma
            cases.append([share, mu, sigma, low, high, float(_truncnorm.ppf(np.array([share]), a, b)[0] * sigma + mu)])
    return cases


def trials_of(space, count, seed, objective):
    rng = np.random.RandomState(seed)
    made = []
    for _ in range(count):
        values = {}
        for name, dist in space.items():
            if isinstance(dist, CategoricalDistribution):
                values[name] = dist.choices[rng.randint(len(dist.choices))]
            elif isinstance(dist, IntDistribution):
                values[name] = int(rng.randint(dist.low, dist.high + 1))
            else:
                values[name] = float(np.exp(rng.uniform(math.log(dist.low), math.log(dist.high)))) if dist.log else float(rng.uniform(dist.low, dist.high))
        made.append((values, float(objective(values))))
    return made


def importances():
    space = {
        "x": FloatDistribution(-5, 10),
        "rate": FloatDistribution(1e-4, 1, log=True),
        "units": IntDistribution(1, 20),
        "kind": CategoricalDistribution(["a", "b", "c"]),
    }
    cases = []
    for seed, direction in [(1, "minimize"), (2, "maximize")]:
        made = trials_of(space, 60, seed, lambda v: (v["x"] - 2) ** 2 + 3 * abs(math.log10(v["rate"]) + 2) + (5 if v["kind"] == "b" else 0) + 0.01 * v["units"])
        study = optuna.create_study(direction=direction)
        for values, objective in made:
            study.add_trial(create_trial(params=values, distributions=space, value=objective))
        importance = optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(), normalize=True)
        cases.append({"direction": direction, "trials": [{"values": v, "objective": o} for v, o in made], "importance": importance})
    return cases


def replay(pruner, direction, curves, feed):
    """Reports curves step by step in an interleaved order and notes whether each report is pruned."""
    study = optuna.create_study(direction=direction, pruner=pruner, study_name="golden")
    answers = []
    trials = [study.ask() for _ in curves]
    open_ = {t.number for t in trials}
    for number, step in feed:
        if number not in open_:
            continue
        trials[number].report(curves[number][step - 1], step)
        pruned = trials[number].should_prune()
        answers.append([number, step, bool(pruned)])
        if pruned:
            study.tell(trials[number], state=TrialState.PRUNED)
            open_.discard(number)
        elif step == len(curves[number]):
            study.tell(trials[number], curves[number][-1])
            open_.discard(number)
    return answers


def pruners():
    rng = np.random.RandomState(7)
    curves = [[float(a * math.exp(-b * s) + c + 0.02 * rng.randn()) for s in range(1, 28)] for a, b, c in zip(rng.uniform(0.5, 2, 24), rng.uniform(0.02, 0.3, 24), rng.uniform(0, 1, 24))]
    curves[5][3] = math.nan
    waves = []
    # Four at a time, as parallel trials run.
    for begin in range(0, len(curves), 4):
        for step in range(1, 28):
            waves += [(number, step) for number in range(begin, begin + 4)]
    cases = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3, interval_steps=2),
        "percentile": lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=3, n_min_trials=2),
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        "asha-late": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=4, min_early_stopping_rate=1),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3),
        "threshold": lambda: optuna.pruners.ThresholdPruner(lower=0.2, upper=1.6, n_warmup_steps=2),
    }
    plain = [[None if math.isnan(v) else v for v in curve] for curve in curves]
    return {"curves": plain, "waves": waves, "answers": {name: {d: replay(make(), d, curves, waves) for d in ("minimize", "maximize")} for name, make in cases.items()}}


print(
    json.dumps(
        {
            "optuna": optuna.__version__,
            "parzen": [parzen(count) for count in (0, 1, 2, 7, 40)],
            "quantiles": quantiles(),
            "importances": importances(),
            "pruners": pruners(),
        },
        separators=(",", ":"),
    )
)
