"""Writes scikit-learn-folds.json: the validation rows of scikit-learn's splitters without shuffling.
`python scikit-learn-folds.py > scikit-learn-folds.json` (scikit-learn 1.9.1)."""
import json

import numpy as np
import sklearn
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit

rng = np.random.RandomState(3)
classes = rng.choice(3, 37, p=[0.6, 0.3, 0.1])
# Sizes 1, 2, 3 …: where groups are equally large, scikit-learn's order is that of an unstable sort.
groups = rng.permutation(np.repeat(np.arange(8), np.arange(1, 9)))


def rows(split):
    return [test.tolist() for _, test in split]


print(
    json.dumps(
        {
            "scikitLearn": sklearn.__version__,
            "kFold": {"count": 23, "folds": 5, "validation": rows(KFold(5).split(np.zeros(23)))},
            "stratified": {"classes": classes.tolist(), "folds": 3, "validation": rows(StratifiedKFold(3).split(np.zeros(37), classes))},
            "group": {"groups": groups.tolist(), "folds": 4, "validation": rows(GroupKFold(4).split(np.zeros(36), groups=groups))},
            "timeSeries": [
                {
                    "count": 29,
                    "folds": 4,
                    "gap": gap,
                    "training": [train.tolist() for train, _ in TimeSeriesSplit(4, gap=gap).split(np.zeros(29))],
                    "validation": rows(TimeSeriesSplit(4, gap=gap).split(np.zeros(29))),
                }
                for gap in (0, 2)
            ],
        },
        separators=(",", ":"),
    )
)
