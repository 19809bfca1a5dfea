/**
 * The text that a recogniser's probabilities say: the best class of each step, repetitions and blanks dropped.
 *
 * `probabilities`: [steps, classes], class 0 the blank, class c the character c − 1; the last class, past the list, a space.
 *
 * Source: best path decoding, Graves et al., Connectionist Temporal Classification (2006), section 3.2.
 */
export function ctcText(probabilities: Float32Array, classes: number, characters: readonly string[]): string {
  let text = "";
  let before = 0;
  for (let offset = 0; offset + classes <= probabilities.length; offset += classes) {
    let best = 0;
    for (let index = 1; index < classes; index += 1) {
      if ((probabilities[offset + index] ?? 0) > (probabilities[offset + best] ?? 0)) best = index;
    }
    if (best !== 0 && best !== before) text += characters[best - 1] || " ";
    before = best;
  }
  return text;
}

/** Least number of characters to insert, delete or replace (Levenshtein 1966). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
