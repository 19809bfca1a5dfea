"""Writes src/samplers/sobol-directions.ts: primitive polynomials and initial numbers of Joe & Kuo (new-joe-kuo-6.21201),
as SciPy ships them."""
import glob
import sys

import numpy as np
import scipy

DIMENSIONS = 64
table = np.load(glob.glob(scipy.__path__[0] + "/stats/*sobol*npz")[0])
lines = []
for d in range(1, DIMENSIONS):
    poly = int(table["poly"][d])
    degree = poly.bit_length() - 1
    lines.append(f"  [{poly}, {', '.join(str(int(v)) for v in table['vinit'][d][:degree])}],")
sys.stdout.write("\n".join(lines) + "\n")
