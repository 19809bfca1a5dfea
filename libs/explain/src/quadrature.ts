// An integral over [0, 1] by few points. Along the path from baseline to input the gradient is smooth but for kinks, so the
// Gauss-Legendre rule, exact for polynomials of degree 2n - 1, needs fewer points than a Riemann sum; where kinks dominate
// (ReLU networks) both end up alike. Source: Press et al., Numerical Recipes (2007), section 4.6.

/** Rules of integration. */
export const QUADRATURE_RULES = ["gauss-legendre", "riemann-middle"] as const;

/** A rule of integration by its name. */
export type QuadratureRule = (typeof QUADRATURE_RULES)[number];

/** A point of [0, 1] and how much it counts; weights add up to 1. */
export interface QuadraturePoint {
  readonly at: number;
  readonly weight: number;
}

/** The points of a rule, in rising order. */
export function quadrature(rule: QuadratureRule, count: number): QuadraturePoint[] {
  switch (rule) {
    case "riemann-middle":
      return Array.from({ length: count }, (_, index) => ({ at: (index + 0.5) / count, weight: 1 / count }));
    case "gauss-legendre":
      return gaussLegendre(count);
    default: {
      const never: never = rule;
      return never;
    }
  }
}

/** Zeros of the Legendre polynomial by Newton's method from Chebyshev's guess. */
function gaussLegendre(count: number): QuadraturePoint[] {
  return Array.from({ length: count }, (_, index) => {
    let x = Math.cos((Math.PI * (index + 0.75)) / (count + 0.5));
    for (;;) {
      const { value, slope } = legendre(count, x);
      const step = value / slope;
      x -= step;
      if (Math.abs(step) < 1e-15) break;
    }
    const { slope } = legendre(count, x);
    // From [-1, 1] to [0, 1]: half the weight.
    return { at: (1 + x) / 2, weight: 1 / ((1 - x * x) * slope * slope) };
  }).reverse();
}

function legendre(degree: number, x: number): { value: number; slope: number } {
  let [before, value] = [1, x];
  for (let n = 2; n <= degree; n++) [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
  return { value: degree === 0 ? 1 : value, slope: (degree * (x * value - before)) / (x * x - 1) };
}
