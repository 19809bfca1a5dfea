"""Metrics of scikit-learn on seeded predictions, the second implementation that the tests compare with.

python libs/evaluation/test/goldens/make-goldens.py > libs/evaluation/test/goldens/metrics.json  (scikit-learn 1.9.1)
"""
import json
import numpy as np
from sklearn import metrics as m

rng = np.random.default_rng(7)


def classification(rows, size, ties):
    targets = rng.integers(0, size, rows)
    logits = rng.normal(size=(rows, size)) + 1.2 * np.eye(size)[targets]
    if ties:
        logits = np.round(logits, 0)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = np.round(p, 6)
    p[:, 0] = 1 - p[:, 1:].sum(1)
    y = p.argmax(1)
    out = {"targets": targets.tolist(), "probabilities": p.ravel().tolist(), "classes": [f"c{i}" for i in range(size)]}
    prf = lambda average: m.precision_recall_fscore_support(targets, y, average=average, zero_division=0)[:3]
    want = {
        "accuracy": m.accuracy_score(targets, y),
        "balanced_accuracy": m.balanced_accuracy_score(targets, y),
        "log_loss": m.log_loss(targets, p),
        "brier": m.brier_score_loss(targets, p[:, 1]) if size == 2 else m.brier_score_loss(targets, p, scale_by_half=False),
    }
    for average in ("macro", "micro", "weighted"):
        precision, recall, f1 = prf(average)
        want[f"f1_{average}"] = f1
        if average != "micro":
            want[f"precision_{average}"] = precision
            want[f"recall_{average}"] = recall
    if size == 2:
        want["precision"], want["recall"], want["f1"] = prf("binary")
        want["auc"] = m.roc_auc_score(targets, p[:, 1])
        want["average_precision"] = m.average_precision_score(targets, p[:, 1])
    else:
        want["auc_macro"] = m.roc_auc_score(targets, p, multi_class="ovr", average="macro")
        want["average_precision_macro"] = m.average_precision_score(np.eye(size)[targets], p, average="macro")
        if not ties:  # of tied classes scikit-learn takes the last one, we the first
            want["top_k_accuracy_2"] = m.top_k_accuracy_score(targets, p, k=2)
    out["confusion"] = m.confusion_matrix(targets, y).ravel().tolist()
    out["metrics"] = {key: float(value) for key, value in want.items()}
    return out


def regression():
    targets = np.round(rng.normal(50, 20, 80), 4)
    predictions = np.round(targets * 0.9 + rng.normal(3, 6, 80), 4)
    return {
        "targets": targets.tolist(),
        "predictions": predictions.tolist(),
        "metrics": {
            "mae": m.mean_absolute_error(targets, predictions),
            "mse": m.mean_squared_error(targets, predictions),
            "rmse": m.root_mean_squared_error(targets, predictions),
            "r2": m.r2_score(targets, predictions),
            "mape": m.mean_absolute_percentage_error(targets, predictions),
            "median_absolute_error": m.median_absolute_error(targets, predictions),
        },
        "quantiles": np.quantile(targets - predictions, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]).tolist(),
    }


def curves():
    targets, scores = rng.integers(0, 2, 30), np.round(rng.random(30), 1)
    fpr, tpr, _ = m.roc_curve(targets, scores, drop_intermediate=False)
    precision, recall, _ = m.precision_recall_curve(targets, scores)
    # scikit-learn keeps points behind full recall; ours ends where theirs begins, in the other direction.
    return {"targets": targets.tolist(), "scores": scores.tolist(), "roc": np.stack([fpr, tpr], 1).tolist(), "precision_recall": np.stack([recall, precision], 1)[::-1].tolist()}


print(json.dumps({
    "binary": classification(60, 2, False),
    "binary with ties": classification(60, 2, True),
    "four classes": classification(90, 4, False),
    "six classes with ties": classification(50, 6, True),
    "regression": regression(),
    "curves": curves(),
}))
