/**
 * Values of a parameter by a formula that the PyTorch side knows as well (libs/nn/test/goldens/torch_models.py), so that no golden file
 * holds weights. Whole numbers below 2⁵³ alone: the same on every machine.
 */
export function parameterFormula(name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const key = [...name].reduce((sum, character, index) => sum + (index + 1) * (character.codePointAt(0) ?? 0), 0) % 1009;
  const modulus = 2_147_483_647;
  return Float32Array.from({ length: count }, (_, index) => {
    const x = (index + 1) * 48_271 + key * 69_621;
    const u = ((((x * 16_807) % modulus) * 48_271) % modulus) / modulus * 2 - 1;
    if (name.endsWith("running_var")) return 1 + 0.3 * u;
    if (shape.length > 1) return u / Math.sqrt(count / (shape[0] ?? 1));
    return name.endsWith("weight") ? 1 + 0.1 * u : 0.1 * u;
  });
}
