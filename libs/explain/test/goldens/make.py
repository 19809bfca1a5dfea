"""A second implementation, in plain Python: explanations of a small network by the definitions.

Integrated Gradients by a midpoint sum of 20,000 points over derivatives written out by hand, Shapley values by all subsets,
occlusion by one feature at a time. Run: python3 make.py > network.json
"""
import itertools
import json
import math

W1 = [[0.9, -0.4, 0.3], [-0.7, 0.8, 0.2], [0.5, 0.6, -1.1], [0.1, -0.9, 0.7]]  # [in, hidden]
B1 = [0.1, -0.2, 0.05]
W2 = [[1.2, -0.8], [-0.5, 0.9], [0.7, 0.4]]  # [hidden, out]
B2 = [0.0, 0.1]
X = [0.8, -0.6, 1.1, 0.4]
BASELINE = [0.1, 0.2, -0.3, 0.0]
TARGET = 1


def forward(x):
    """Probabilities of softmax(tanh(x W1 + b1) W2 + b2), and the hidden values."""
    h = [math.tanh(sum(x[i] * W1[i][j] for i in range(4)) + B1[j]) for j in range(3)]
    z = [sum(h[j] * W2[j][k] for j in range(3)) + B2[k] for k in range(2)]
    e = [math.exp(v - max(z)) for v in z]
    return [v / sum(e) for v in e], h


def gradient(x):
    p, h = forward(x)
    dz = [p[TARGET] * ((1 if k == TARGET else 0) - p[k]) for k in range(2)]
    dh = [sum(dz[k] * W2[j][k] for k in range(2)) * (1 - h[j] ** 2) for j in range(3)]
    return [sum(dh[j] * W1[i][j] for j in range(3)) for i in range(4)]


def value(shown):
    return forward([X[i] if i in shown else BASELINE[i] for i in range(4)])[0][TARGET]


def integrated_gradients(points=20_000):
    total = [0.0] * 4
    for n in range(points):
        alpha = (n + 0.5) / points
        g = gradient([b + alpha * (x - b) for x, b in zip(X, BASELINE)])
        total = [t + v / points for t, v in zip(total, g)]
    return [t * (x - b) for t, x, b in zip(total, X, BASELINE)]


def shapley():
    result = []
    for i in range(4):
        others = [j for j in range(4) if j != i]
        worth = 0.0
        for size in range(4):
            for subset in itertools.combinations(others, size):
                weight = math.factorial(size) * math.factorial(3 - size) / math.factorial(4)
                worth += weight * (value({*subset, i}) - value(set(subset)))
        result.append(worth)
    return result


everything = set(range(4))
print(json.dumps({
    "w1": W1, "b1": B1, "w2": W2, "b2": B2, "x": X, "baseline": BASELINE, "target": TARGET,
    "prediction": value(everything), "baselinePrediction": value(set()),
    "integratedGradients": integrated_gradients(),
    "shapley": shapley(),
    "occlusion": [value(everything) - value(everything - {i}) for i in range(4)],
}, indent=1))
