/** What a row of class probabilities says. */
export interface DecodedLine {
  readonly text: string;
  /** Mean probability of the characters; 0 where there are none. */
  readonly probability: number;
}

/**
 * The text of one line: the best class of each step, repetitions and blanks dropped, no spaces at its ends.
 *
 * probabilities: [steps, classes]; `characters` are the classes in order, the blank left out.
 *
 * Source: best path decoding, Graves et al., Connectionist Temporal Classification (2006), section 3.2.
 */
export function ctcDecode(probabilities: Float32Array, classes: number, characters: readonly string[], blank: "first" | "last"): DecodedLine {
  const blankClass = blank === "first" ? 0 : classes - 1;
  let text = "";
  let sum = 0;
  let count = 0;
  let before = blankClass;
  for (let offset = 0; offset + classes <= probabilities.length; offset += classes) {
    let best = 0;
    for (let index = 1; index < classes; index++) {
      if ((probabilities[offset + index] as number) > (probabilities[offset + best] as number)) best = index;
    }
    if (best !== blankClass && best !== before) {
      text += characters[blank === "first" ? best - 1 : best] ?? "";
      sum += probabilities[offset + best] as number;
      count++;
    }
    before = best;
  }
  return { text: text.trim(), probability: count === 0 ? 0 : sum / count };
}
