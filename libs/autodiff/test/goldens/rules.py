"""Goldens of the gradient rules: every operator as PyTorch computes it, in double precision, with autograd's gradients.

The loss is the sum over outputs k of y_k · sin(7.3 + k + 1.7 · (place mod 13)), as in test/rule-cases/case-graphs.ts.
Made with torch 2.15.0 (CPU). Run: python3 rules.py > rules.json
"""
import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
CASES = []
TYPES = {torch.float64: "FP32", torch.int64: "INT64", torch.int32: "INT32", torch.bool: "BOOL"}


def x(*shape, low=-2.0, high=2.0):
    """An input that gets a gradient; its values are f32 numbers."""
    t = (torch.rand(*shape, dtype=torch.float64) * (high - low) + low)
    return t.float().double().requires_grad_()


def at(values):
    """An input of these values."""
    return torch.tensor(values, dtype=torch.float64).float().double().requires_grad_()


def const(values, dtype=torch.float64):
    t = torch.tensor(values, dtype=dtype)
    return t.float().double() if dtype == torch.float64 else t


def ints(*values):
    return torch.tensor(values, dtype=torch.int64)


def digits(t, count=7):
    return [float(f"{v:.{count}g}") if isinstance(v, float) else int(v) for v in t.detach().flatten().tolist()]


def case(op, fn, operands, attributes=None, about=None, **more):
    """fn takes the operands and gives the output, or those outputs that the loss depends on."""
    ys = fn(*operands)
    ys = ys if isinstance(ys, (tuple, list)) else [ys]
    loss = 0
    for k, y in enumerate(ys):
        place = (torch.arange(y.numel()) % 13).double().reshape(y.shape)
        loss = loss + (y * torch.sin(1.7 * place + 7.3 + k)).sum()
    inputs = [t for t in operands if t is not None and t.requires_grad]
    # A loss that is flat has no graph.
    grads = torch.autograd.grad(loss, inputs, allow_unused=True) if loss.requires_grad else [None] * len(inputs)
    grads = [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, grads)]
    CASES.append({
        "op": op,
        **({"about": about} if about else {}),
        **({"attributes": attributes} if attributes else {}),
        **more,
        **({"lossOutputs": len(ys)} if len(ys) > 1 else {}),
        "operands": [None if t is None else {"datatype": TYPES[t.dtype], "shape": list(t.shape), "values": digits(t, 9), "input": t.requires_grad} for t in operands],
        "outputs": [digits(y) for y in ys],
        "gradients": [digits(g) for g in grads],
    })


f = lambda v: {"float": v}

# Elementwise, two operands that broadcast.
for op, fn in {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul}.items():
    case(op, fn, [x(2, 3), x(3)])
    case(op, fn, [x(2, 1), x(1, 3)], about="both broadcast")
case("Div", torch.div, [x(2, 3), x(3, low=0.5, high=2)])
case("Pow", torch.pow, [x(2, 3, low=0.5, high=2), x(3)])
for n in (0.0, 0.5, 1.0, 2.0, 3.0, -1.5):
    case("Pow", torch.pow, [x(2, 2, low=0.5, high=2), const(n)], about=f"to the {n}")
case("Pow", torch.pow, [at([0.0, 1.0, -2.0]), const([0.0, 2.0, 0.0])], about="zero to the zeroth", kink=True)
for op, fn in {"Max": torch.maximum, "Min": torch.minimum}.items():
    case(op, fn, [x(2, 3), x(3)])
    case(op, fn, [at([1.0, 2.0, 3.0]), at([1.0, 5.0, 2.0])], about="a tie", kink=True)
case("Sum", lambda a, b, c: a + b + c, [x(2, 3), x(3), x(2, 1)])
case("Mean", lambda a, b, c: (a + b + c) / 3, [x(2, 3), x(3), x(2, 1)])
case("Where", torch.where, [const([[True], [False]], torch.bool), x(2, 3), x(3)])
case("Clip", lambda a, lo, hi: torch.clamp(a, float(lo), float(hi)), [x(2, 4), const(-1.0), const(0.75)])
case("Clip", lambda a, lo, hi: F.hardtanh(a, float(lo), float(hi)), [at([-1.0, 0.3, 0.75, 2.0]), const(-1.0), const(0.75)], about="at the bounds, as hardtanh", kink=True)

# Elementwise, one operand.
same = {
    "Neg": torch.neg, "Identity": lambda a: a.clone(), "Exp": torch.exp, "Abs": torch.abs, "Erf": torch.erf, "Sin": torch.sin, "Cos": torch.cos,
    "Atan": torch.atan, "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh, "Asinh": torch.asinh, "Relu": torch.relu, "Elu": F.elu, "Celu": F.celu,
    "Selu": F.selu, "Sigmoid": torch.sigmoid, "Softplus": F.softplus, "Softsign": F.softsign, "Mish": F.mish, "Gelu": F.gelu,
    "com.microsoft::Gelu": F.gelu, "com.microsoft::QuickGelu": lambda a: a * torch.sigmoid(1.702 * a),
}
for op, fn in same.items():
    case(op, fn, [x(2, 4)])
for op, fn in {"Relu": torch.relu, "Abs": torch.abs, "LeakyRelu": lambda a: F.leaky_relu(a, 0.01), "Elu": F.elu}.items():
    case(op, fn, [at([0.0, -1.0, 2.0])], about="at zero", kink=True)
case("LeakyRelu", lambda a: F.leaky_relu(a, 0.3), [x(2, 4)], {"alpha": f(0.3)})
case("Elu", lambda a: F.elu(a, 0.7), [x(2, 4)], {"alpha": f(0.7)}, about="another alpha")
case("Celu", lambda a: F.celu(a, 0.7), [x(2, 4)], {"alpha": f(0.7)}, about="another alpha")
for op, fn in {"Log": torch.log, "Sqrt": torch.sqrt, "Reciprocal": torch.reciprocal}.items():
    case(op, fn, [x(2, 4, low=0.5, high=2.5)])
for op, fn in {"Tan": torch.tan, "Asin": torch.asin, "Acos": torch.acos, "Atanh": torch.atanh}.items():
    case(op, fn, [x(2, 4, low=-0.8, high=0.8)])
case("Acosh", torch.acosh, [x(2, 4, low=1.3, high=3)])
for op, fn in {"Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Sign": torch.sign}.items():
    case(op, fn, [at([0.3, 1.4, -0.7])], kink=True)
case("Hardmax", lambda a: F.one_hot(a.argmax(-1), 3).double(), [at([[0.3, 1.4, -0.7]])], kink=True)
case("Cast", lambda a: a.double(), [x(2, 3)], {"to": 1})
case("CastLike", lambda a, b: a.double(), [x(2, 3), const(1.0)])
case("HardSigmoid", F.hardsigmoid, [x(2, 6, low=-4, high=4)], {"alpha": f(1 / 6), "beta": f(0.5)})
case("HardSwish", F.hardswish, [x(2, 6, low=-4, high=4)])
case("HardSwish", F.hardswish, [at([-3.0, 3.0, 0.0])], about="at its kinks", kink=True)
case("ThresholdedRelu", lambda a: F.threshold(a, 0.9, 0.0), [x(2, 4)], {"alpha": f(0.9)})
case("Shrink", lambda a: F.softshrink(a, 0.5), [x(2, 4)], {"lambd": f(0.5), "bias": f(0.5)}, about="softly")
case("Shrink", lambda a: F.hardshrink(a, 0.5), [x(2, 4)], {"lambd": f(0.5)}, about="hard")
case("PRelu", lambda a, s: F.prelu(a, s), [x(2, 3), x(3)])
case("Gelu", lambda a: F.gelu(a, approximate="tanh"), [x(2, 4)], {"approximate": "tanh"}, about="by tanh")
case("com.microsoft::FastGelu", lambda a, b: F.gelu(a + b, approximate="tanh"), [x(2, 4), x(4)])
case("com.microsoft::FastGelu", lambda a: F.gelu(a, approximate="tanh"), [x(2, 4)], about="without a bias")
case("com.microsoft::BiasGelu", lambda a, b: F.gelu(a + b), [x(2, 4), x(4)])
case("Swish", F.silu, [x(2, 4)], opset=24)
case("Dropout", lambda a, r: a.clone(), [x(2, 3), const(0.5)], about="at inference")
case("Dropout", lambda a, r, t: a.clone(), [x(2, 3), const(0.0), const(True, torch.bool)], about="in training, nothing dropped")
fake = lambda a, s, z: torch.fake_quantize_per_tensor_affine(a.float(), 0.1, 128, 0, 255).double()
for op in ("QuantizeLinear", "DequantizeLinear"):
    t = torch.tensor(128, dtype=torch.int64)
    case(op, fake, [at([0.3, -12.84, 12.74, -100.0, 50.0]), const(0.1), t], about="there and back", kink=True)
    CASES[-1]["operands"][2]["datatype"] = "UINT8"

# Products.
case("MatMul", torch.matmul, [x(2, 3), x(3, 4)])
case("MatMul", torch.matmul, [x(2, 2, 3), x(3, 2)], about="a weight for a batch")
case("MatMul", torch.matmul, [x(2, 1, 2, 3), x(1, 3, 3, 2)], about="batches that broadcast")
case("MatMul", torch.matmul, [x(2, 3), x(2, 3, 2)], about="a batch on the right")
case("MatMul", torch.matmul, [x(3), x(3, 2)], about="a row")
case("MatMul", torch.matmul, [x(2, 2, 3), x(3)], about="a column")
for ta in (0, 1):
    for tb in (0, 1):
        def gemm(a, b, c, ta=ta, tb=tb):
            return 0.5 * (a.T if ta else a) @ (b.T if tb else b) + 2 * c
        case("Gemm", gemm, [x(3, 2) if ta else x(2, 3), x(4, 3) if tb else x(3, 4), x(4)], {"transA": ta, "transB": tb, "alpha": f(0.5), "beta": f(2)}, about=f"{ta}{tb}")
        def fused(a, b, ta=ta, tb=tb):
            return 0.5 * (a.mT if ta else a) @ (b.mT if tb else b)
        case("com.microsoft::FusedMatMul", fused, [x(2, 3, 2) if ta else x(2, 2, 3), x(2, 4, 3) if tb else x(2, 3, 4)], {"transA": ta, "transB": tb, "alpha": f(0.5)}, about=f"{ta}{tb}")
for equation, shapes in {"bij,bjk->bik": [(2, 2, 3), (2, 3, 2)], "bhid,bhjd->bhij": [(1, 2, 2, 3), (1, 2, 2, 3)], "ij,jk,k->i": [(2, 3), (3, 2), (2,)], "ij,kl->jk": [(2, 3), (2, 2)], "ij->ji": [(2, 3)]}.items():
    case("Einsum", lambda *t, equation=equation: torch.einsum(equation, *t), [x(*s) for s in shapes], {"equation": equation}, about=equation)


def conv(stride=1, padding=0, dilation=1, groups=1):
    return lambda a, w, *b: (F.conv2d if a.dim() == 4 else F.conv1d)(a, w, b[0] if b else None, stride, padding, dilation, groups)


case("Conv", conv(padding=1), [x(2, 2, 4, 4), x(3, 2, 3, 3), x(3)], {"pads": [1, 1, 1, 1]})
case("Conv", conv(stride=2, padding=1), [x(1, 2, 6, 6), x(2, 2, 3, 3)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}, about="a stride that leaves a rest")
case("Conv", conv(dilation=2, stride=(2, 1), padding=1), [x(1, 1, 7, 7), x(1, 1, 3, 3)], {"dilations": [2, 2], "strides": [2, 1], "pads": [1, 1, 1, 1]}, about="dilated")
case("Conv", conv(groups=4, padding=1, stride=2), [x(2, 4, 4, 4), x(4, 1, 3, 3)], {"group": 4, "pads": [1, 1, 1, 1], "strides": [2, 2]}, about="depthwise")
case("Conv", conv(groups=2), [x(1, 4, 3, 3), x(6, 2, 1, 1)], {"group": 2}, about="groups of 1×1")
case("Conv", conv(stride=2), [x(1, 3, 5, 5), x(2, 3, 1, 1)], {"strides": [2, 2]}, about="1×1 with a stride")
case("Conv", conv(padding=3, stride=2), [x(1, 1, 8, 8), x(2, 1, 7, 7)], {"pads": [3, 3, 3, 3], "strides": [2, 2]}, about="a large kernel")
case("Conv", conv(stride=3), [x(1, 2, 7), x(2, 2, 3)], {"strides": [3]}, about="one axis")
case("ConvTranspose", lambda a, w, b: F.conv_transpose2d(a, w, b, 2), [x(1, 2, 3, 3), x(2, 2, 2, 2), x(2)], {"strides": [2, 2]})
case("ConvTranspose", lambda a, w: F.conv_transpose2d(a, w, None, 2, 1, 1, 2), [x(1, 2, 3, 3), x(2, 1, 3, 3)], {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1], "group": 2}, about="output padding and groups")
pool = lambda k, s, p=0, c=False: lambda a: F.max_pool2d(a, k, s, p, ceil_mode=c)
case("MaxPool", pool(2, 2), [x(1, 2, 4, 4)], {"kernel_shape": [2, 2], "strides": [2, 2]})
tied = [[[[1.0, 1.0, 0.0, 3.0], [1.0, 0.0, 3.0, 3.0], [-1.0, -1.0, 2.0, 2.0], [-1.0, -1.0, 2.0, 1.0]]]]
case("MaxPool", pool(2, 2), [at(tied)], {"kernel_shape": [2, 2], "strides": [2, 2]}, about="ties", kink=True)
case("MaxPool", pool(3, 1), [at(tied)], {"kernel_shape": [3, 3]}, about="ties in windows that overlap", kink=True)
case("MaxPool", pool((2, 3), (2, 3)), [x(1, 1, 4, 6)], {"kernel_shape": [2, 3], "strides": [2, 3]}, about="oblong windows")
case("MaxPool", pool(2, 2), [x(2, 1, 5, 5)], {"kernel_shape": [2, 2], "strides": [2, 2]}, about="a rest")
case("MaxPool", pool(3, 2, 1), [x(1, 2, 5, 5)], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, about="windows that overlap")
case("MaxPool", pool(2, 2, 0, True), [x(1, 1, 5, 5)], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, about="over the end", fixedSizes=True)
case("MaxPool", lambda a: F.max_pool1d(a, 2, 2), [x(1, 2, 4)], {"kernel_shape": [2], "strides": [2]}, about="one axis")
case("AveragePool", lambda a: F.avg_pool2d(a, 2, 2), [x(1, 2, 4, 4)], {"kernel_shape": [2, 2], "strides": [2, 2]})
case("AveragePool", lambda a: F.avg_pool2d(a, 3, 2, 1, count_include_pad=False), [x(1, 2, 5, 5)], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, about="padding not counted")
case("AveragePool", lambda a: F.avg_pool2d(a, (3, 2), 2, 1), [x(1, 1, 5, 4)], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}, about="padding counted")
case("AveragePool", lambda a: F.avg_pool2d(a, 2, 2, ceil_mode=True), [x(1, 2, 3, 5)], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, about="over the end", fixedSizes=True)
case("GlobalAveragePool", lambda a: a.mean((2, 3), keepdim=True), [x(2, 2, 3, 2)])
case("GlobalMaxPool", lambda a: F.adaptive_max_pool2d(a, 1), [x(2, 2, 3, 2)])
case("GlobalMaxPool", lambda a: F.adaptive_max_pool2d(a, 1), [at(tied)], about="a tie", kink=True)

# Reductions.
for op, fn in {
    "ReduceSum": torch.sum, "ReduceMean": torch.mean, "ReduceMax": torch.amax, "ReduceMin": torch.amin, "ReduceLogSumExp": torch.logsumexp,
    "ReduceL1": lambda a, d, keepdim: a.abs().sum(d, keepdim), "ReduceL2": lambda a, d, keepdim: a.norm(2, d, keepdim),
    "ReduceSumSquare": lambda a, d, keepdim: (a * a).sum(d, keepdim),
}.items():
    case(op, lambda a, d, fn=fn: fn(a, (1,), keepdim=True), [x(2, 3), ints(1)])
    case(op, lambda a, d, fn=fn: fn(a, (0, 2), keepdim=False), [x(2, 3, 2), ints(0, -1)], {"keepdims": 0}, about="two axes dropped")
for op, fn in {"ReduceMax": torch.amax, "ReduceMin": torch.amin}.items():
    case(op, lambda a, d, fn=fn: fn(a, (1,), keepdim=True), [at([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]]), ints(1)], about="ties", kink=True)
case("ReduceL2", lambda a, d: a.norm(2, 1, True), [at([[0.0, 0.0], [3.0, 4.0]]), ints(1)], about="a row of zeros", kink=True)
case("ReduceProd", lambda a, d: a.prod(1, keepdim=True), [x(2, 3), ints(1)])
case("ReduceProd", lambda a, d: a.prod(1, keepdim=True), [at([[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0]]), ints(1)], about="with zeros")
case("ReduceLogSum", lambda a, d: a.sum(1, keepdim=True).log(), [x(2, 3, low=0.5, high=2), ints(1)])
case("CumSum", lambda a, d: a.cumsum(1), [x(2, 4), const(1, torch.int64)])
case("CumSum", lambda a, d: a.flip(0).cumsum(0).flip(0) - a, [x(3, 2), const(0, torch.int64)], {"exclusive": 1, "reverse": 1}, about="exclusive, from the end")
for op, fn in {"Softmax": torch.softmax, "LogSoftmax": torch.log_softmax}.items():
    case(op, lambda a, fn=fn: fn(a, -1), [x(2, 4)])
    case(op, lambda a, fn=fn: fn(a, 1), [x(2, 3, 2)], {"axis": 1}, about="over the middle axis")

# Normalisation.
case("LayerNormalization", lambda a, s, b: F.layer_norm(a, (4,), s, b, 1e-5), [x(2, 3, 4), x(4), x(4)])
case("LayerNormalization", lambda a, s, b: F.layer_norm(a, (2, 3), s, b, 0.01), [x(2, 2, 3), x(2, 3), x(2, 3)], {"axis": 1, "epsilon": f(0.01)}, about="over two axes")
rms = lambda a, s: F.rms_norm(a, (4,), s, 1e-5)
case("RMSNormalization", rms, [x(2, 3, 4), x(4)], opset=23)
case("SimplifiedLayerNormalization", rms, [x(2, 3, 4), x(4)])
case("com.microsoft::SkipLayerNormalization", lambda a, b, s, t: F.layer_norm(a + b, (4,), s, t, 1e-12), [x(2, 3, 4), x(2, 3, 4), x(4), x(4)])
case("com.microsoft::SkipLayerNormalization", lambda a, b, s, t, c: F.layer_norm(a + b + c, (4,), s, t, 1e-12), [x(1, 3, 4), x(1, 3, 4), x(4), x(4), x(4)], about="with a bias")
case("com.microsoft::SkipSimplifiedLayerNormalization", lambda a, b, s: F.rms_norm(a + b, (4,), s, 1e-5), [x(2, 3, 4), x(2, 3, 4), x(4)], {"epsilon": f(1e-5)})
case("InstanceNormalization", lambda a, s, b: F.instance_norm(a, weight=s, bias=b, eps=1e-5), [x(2, 2, 3), x(2), x(2)])
case("GroupNormalization", lambda a, s, b: F.group_norm(a, 2, s, b, 1e-5), [x(2, 4, 3), x(4), x(4)], {"num_groups": 2})
case("BatchNormalization", lambda a, s, b, m, v: F.batch_norm(a, m, v, s, b, False, 0.1, 1e-5), [x(2, 3, 2), x(3), x(3), const([0.1, 0.2, -0.3]), const([0.5, 1.5, 1.0])])
case("BatchNormalization", lambda a, s, b, m, v: F.batch_norm(a, m.clone(), v.clone(), s, b, True, 0.1, 1e-5), [x(3, 2, 2, 2), x(2), x(2), const([0.1, 0.2]), const([0.5, 1.5])], {"training_mode": 1}, about="statistics of the batch", outputCount=3)
case("BatchNormalization", lambda a, s, b, m, v: F.batch_norm(a, m.clone(), v.clone(), s, b, True, 0.1, 1e-5), [x(4, 2), at([0.0, 1.0]), x(2), const([0.1, 0.2]), const([0.5, 1.5])], {"training_mode": 1}, about="no space, a scale of zero", outputCount=3)
case("LpNormalization", lambda a: F.normalize(a, 2, -1), [x(2, 3)])
case("LpNormalization", lambda a: F.normalize(a, 1, 0), [at([[0.7, -1.2, 1.9], [-1.1, 0.8, 0.6]])], {"p": 1, "axis": 0}, about="by absolute values")

# Losses.
labels = const([2, 0, 1, 2], torch.int64)
case("SoftmaxCrossEntropyLoss", lambda a, t: F.cross_entropy(a, t), [x(4, 3), labels])
case("SoftmaxCrossEntropyLoss", lambda a, t: F.cross_entropy(a, t, reduction="sum"), [x(4, 3), labels], {"reduction": "sum"}, about="added up")
case("SoftmaxCrossEntropyLoss", lambda a, t: F.cross_entropy(a, t, reduction="none"), [x(4, 3), labels], {"reduction": "none"}, about="each")
case("SoftmaxCrossEntropyLoss", lambda a, t, w: F.cross_entropy(a, t, w), [x(4, 3), labels, const([0.5, 1.0, 2.5])], about="weights of classes")
holes = const([2, -100, 1, -100], torch.int64)
case("SoftmaxCrossEntropyLoss", lambda a, t: F.cross_entropy(a, t, ignore_index=-100), [x(4, 3), holes], {"ignore_index": -100}, about="ignored labels")
case("SoftmaxCrossEntropyLoss", lambda a, t, w: F.cross_entropy(a, t, w, ignore_index=-100, reduction="none"), [x(4, 3), holes, const([0.5, 1.0, 2.5])], {"ignore_index": -100, "reduction": "none"}, about="ignored labels and weights, each")
case("SoftmaxCrossEntropyLoss", lambda a, t, w: F.cross_entropy(a, t, w, ignore_index=1), [x(2, 3, 2), const([[2, 1], [0, 1]], torch.int64), const([0.5, 1.0, 2.5])], {"ignore_index": 1}, about="labels of pixels")
logp = lambda *s: torch.log_softmax(torch.randn(*s, dtype=torch.float64), 1).float().double().requires_grad_()
case("NegativeLogLikelihoodLoss", lambda a, t: F.nll_loss(a, t), [logp(4, 3), labels])
case("NegativeLogLikelihoodLoss", lambda a, t, w: F.nll_loss(a, t, w, ignore_index=-100), [logp(4, 3), holes, const([0.5, 1.0, 2.5])], {"ignore_index": -100}, about="ignored labels and weights")
case("NegativeLogLikelihoodLoss", lambda a, t: F.nll_loss(a, t, reduction="none"), [logp(2, 3, 2), const([[2, 1], [0, 1]], torch.int64)], {"reduction": "none"}, about="labels of pixels, each")

# Indexing.
case("Gather", lambda a, i: a[i], [x(4, 3), const([[0, 2, 2], [-1, 1, 0]], torch.int64)], about="indices that repeat and count from the end")
case("Gather", lambda a, i: a[i.long()], [x(40, 2), const([0, 39, 39, -1, 5], torch.int32)], about="a table")
case("Gather", lambda a, i: a[:, i], [x(2, 4, 2), ints(3, 3, 0)], {"axis": 1}, about="the middle axis")
case("Gather", lambda a, i: a[1], [x(3, 2), const(1, torch.int64)], about="one row")
case("GatherElements", lambda a, i: a.gather(0, i % 3), [x(3, 2), const([[0, 2], [0, -1]], torch.int64)])
case("GatherND", lambda a, i: a[i[:, 0], i[:, 1]], [x(3, 2), const([[0, 1], [2, 0], [0, 1]], torch.int64)])
case("GatherND", lambda a, i: a[i[:, 0]], [x(3, 2), const([[2], [2]], torch.int64)], about="whole rows")
case("GatherND", lambda a, i: torch.stack([a[0, i[0, 0]], a[1, i[1, 0]]]), [x(2, 3, 2), const([[1], [-1]], torch.int64)], {"batch_dims": 1}, about="within a batch")
case("ScatterElements", lambda a, i, u: a.scatter(0, i, u), [x(3, 2), const([[2, 0]], torch.int64), x(1, 2)])
case("ScatterElements", lambda a, i, u: a.scatter_add(0, i, u), [x(4), ints(1, 1), x(2)], {"reduction": "add"}, about="added")
case("ScatterND", lambda a, i, u: a.index_put((i[:, 0],), u), [x(3, 2), const([[2], [0]], torch.int64), x(2, 2)])
case("TopK", lambda a, k: a.topk(2)[0], [x(2, 5), ints(2)], outputCount=2)
case("TopK", lambda a, k: a.topk(3, 1, largest=False)[0], [x(2, 5), ints(3)], {"axis": 1, "largest": 0}, about="the smallest", outputCount=2)
case("Trilu", torch.triu, [x(3, 3)])
case("Trilu", lambda a, k: a.tril(-1), [x(2, 3, 4), const(-1, torch.int64)], {"upper": 0}, about="below")

# Shape.
case("Reshape", lambda a, s: a.reshape(3, 2), [x(2, 3), ints(3, -1)])
case("Flatten", lambda a: a.reshape(6, 2), [x(2, 3, 2)], {"axis": 2})
case("Squeeze", lambda a, d: a.squeeze(3).squeeze(1), [x(2, 1, 3, 1), ints(1, -1)])
case("Unsqueeze", lambda a, d: a[None, ..., None], [x(2, 3), ints(0, -1)])
case("Transpose", lambda a: a.permute(1, 2, 0), [x(2, 3, 2)], {"perm": [1, 2, 0]})
case("Concat", lambda *t: torch.cat(t, -1), [x(2, 3), x(2, 1), x(2, 2)], {"axis": -1})
case("Split", lambda a, s: a.split([2, 3], 1), [x(2, 5), ints(2, 3)], {"axis": 1}, outputCount=2)
case("Slice", lambda a, *_: a[1:3, 2:], [x(4, 5), ints(1, -3), ints(3, 9), ints(0, 1)])
case("Slice", lambda a, *_: a.flip(0)[::2, ::2], [x(4, 5), ints(-1, 0), ints(-9, 5), ints(0, 1), ints(-2, 2)], about="steps, one backwards")
case("Pad", lambda a, p: F.pad(a, (0, 2, 1, 0)), [x(2, 3), ints(1, 0, 0, 2)])
case("Pad", lambda a, p: F.pad(a, (-1, -1, 0, 1)), [x(3, 4), ints(0, -1, 1, -1)], about="negative pads")
for mode, torch_mode in {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.items():
    case("Pad", lambda a, p, m=torch_mode: F.pad(a, (2, 1), mode=m), [x(1, 2, 4), ints(0, 0, 2, 0, 0, 1)], {"mode": mode}, about=mode)
case("Expand", lambda a, s: a.expand(2, 3, 4), [x(3, 1), ints(2, 1, 4)])
case("Tile", lambda a, r: a.repeat(2, 3), [x(2, 3), ints(2, 3)])
case("DepthToSpace", lambda a: F.pixel_shuffle(a, 2), [x(1, 8, 2, 1)], {"blocksize": 2, "mode": "CRD"})
case("DepthToSpace", lambda a: a.reshape(1, 2, 2, 2, 2, 1).permute(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 2), [x(1, 8, 2, 1)], {"blocksize": 2}, about="depth first")
case("SpaceToDepth", lambda a: a.reshape(1, 1, 2, 2, 1, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 4, 2, 1), [x(1, 1, 4, 2)], {"blocksize": 2})
image = lambda: x(1, 2, 3, 4)
resize = lambda mode, **kw: lambda a, *_: F.interpolate(a, mode=mode, **kw)
scales = const([1.0, 1.0, 2.0, 1.5])
case("Resize", resize("nearest", scale_factor=(2, 1.5)), [image(), None, scales], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, about="nearest")
case("Resize", resize("bilinear", scale_factor=(2, 1.5)), [image(), None, scales], {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}, about="linear")
case("Resize", resize("bilinear", size=(2, 7), align_corners=True), [image(), None, None, ints(1, 2, 2, 7)], {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, about="corners aligned", fixedSizes=True)
case("Resize", resize("bicubic", size=(5, 7), align_corners=False), [image(), None, None, ints(1, 2, 5, 7)], {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel", "cubic_coeff_a": f(-0.75)}, about="cubic", fixedSizes=True)

row = lambda: x(1, 2, 4)
case("Resize", resize("linear", scale_factor=2), [row(), None, const([1.0, 1.0, 2.0])], {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}, about="one axis")
case("Resize", resize("nearest", size=(2, 4, 3)), [x(1, 1, 2, 2, 3), None, None, ints(1, 1, 2, 4, 3)], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, about="three axes", fixedSizes=True)

# Attention.


def rotate(a, cos, sin, interleaved):
    if interleaved:
        even, odd = a[..., 0::2], a[..., 1::2]
        return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)
    left, right = a.chunk(2, -1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], -1)


angles = torch.outer(torch.arange(5.0, dtype=torch.float64), torch.tensor([1.0, 0.3], dtype=torch.float64))
cos, sin = angles.cos().float().double(), angles.sin().float().double()
positions = const([[0, 1, 4], [2, 3, 0]], torch.int64)
for inter in (0, 1):
    case("RotaryEmbedding", lambda a, c, s, p, i=inter: rotate(a, c[p][:, None], s[p][:, None], i), [x(2, 2, 3, 4), cos, sin, positions], {"interleaved": inter}, opset=23, **({"about": "interleaved"} if inter else {}))
    case("com.microsoft::RotaryEmbedding", lambda a, p, c, s, i=inter: rotate(a, c[p][:, None], s[p][:, None], i), [x(2, 2, 3, 4), positions, cos, sin], {"interleaved": inter}, **({"about": "interleaved"} if inter else {}))
attend = F.scaled_dot_product_attention
case("Attention", lambda q, k, v: attend(q, k, v), [x(1, 2, 3, 4), x(1, 2, 3, 4), x(1, 2, 3, 4)], opset=23)
case("Attention", lambda q, k, v: attend(q, k, v, is_causal=True), [x(1, 2, 3, 4), x(1, 2, 3, 4), x(1, 2, 3, 4)], {"is_causal": 1}, about="causal", opset=23)
case("Attention", lambda q, k, v, m: attend(q, k, v, m, scale=0.7), [x(1, 2, 3, 2), x(1, 2, 4, 2), x(1, 2, 4, 3), x(1, 1, 3, 4)], {"scale": f(0.7)}, about="a mask that is added", opset=23)
case("Attention", lambda q, k, v, m: attend(q, k, v, m), [x(1, 1, 2, 2), x(1, 1, 3, 2), x(1, 1, 3, 2), const([[True, False, True], [True, True, False]], torch.bool)], about="a mask of conditions", opset=23)
case("Attention", lambda q, k, v: attend(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1)), [x(1, 4, 2, 2), x(1, 2, 3, 2), x(1, 2, 3, 2)], about="shared keys and values", opset=23)
heads = lambda t, h: t.unflatten(-1, (h, -1)).transpose(1, 2)
case("Attention", lambda q, k, v: attend(heads(q, 2), heads(k, 2), heads(v, 2)).transpose(1, 2).flatten(2), [x(1, 3, 4), x(1, 3, 4), x(1, 3, 4)], {"q_num_heads": 2, "kv_num_heads": 2}, about="heads side by side", opset=23, fixedSizes=True)

print("[\n" + ",\n".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in CASES) + "\n]")
