# Makes safetensors.golden.json with the reference implementation: run by hand, with `pip install safetensors numpy`.
import base64, json, pathlib
import numpy as np
from safetensors.numpy import save

tensors = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
    "scalar": np.array(2.5, dtype=np.float64),
    "ids": np.array([1, -2, 3], dtype=np.int64),
    "flags": np.array([True, False, True]),
    "half": np.array([0.5, -1.5], dtype=np.float16),
    "empty": np.zeros((0, 4), dtype=np.float32),
}
file = save(tensors, metadata={"format": "np", "step": "7"})
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps({"file": base64.b64encode(file).decode()}) + "\n")
