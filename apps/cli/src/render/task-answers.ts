/** Labels with their probabilities as rows of a table. */
export function labelRows(labels: readonly { readonly label: string; readonly probability: number }[]): string[][] {
  return labels.map(({ label, probability }) => [label, `${(probability * 100).toFixed(1)} %`]);
}

/** Milliseconds as minutes and seconds: 62345 → "1:02.345". */
export function clock(ms: bigint): string {
  const [minutes, rest] = [ms / 60_000n, Number(ms % 60_000n) / 1_000];
  return `${minutes}:${rest.toFixed(3).padStart(6, "0")}`;
}

/** The beginning of a vector. */
export function vectorText(values: readonly number[]): string {
  return `${values.slice(0, 4).map((value) => value.toFixed(3)).join(" ")}${values.length > 4 ? " …" : ""}`;
}
