import { html, type Html } from "./html.ts";

/** Classes that a picture can name; more make cells that nobody reads. */
const CLASSES_MAX = 40;
const NUMBERS_MAX = 12;

/**
 * A confusion matrix as a picture: rows are true classes, columns the model's answers, each row's colours are shares of
 * the row. With many classes only the most frequent are drawn.
 *
 * @param matrix true × predicted, row-major
 */
export function confusionHeatMap(classes: readonly string[], matrix: readonly number[]): Html {
  const size = classes.length;
  const rowSum = (row: number): number => matrix.slice(row * size, (row + 1) * size).reduce((a, b) => a + b, 0);
  const shown = size <= CLASSES_MAX ? [...classes.keys()] : [...classes.keys()].sort((a, b) => rowSum(b) - rowSum(a)).slice(0, CLASSES_MAX).sort((a, b) => a - b);
  const cell = Math.max(12, Math.min(44, Math.floor(420 / shown.length)));
  const left = 130;
  const [width, height] = [left + shown.length * cell + 10, 118 + shown.length * cell];
  const label = (name: string): string => (name.length > 18 ? `${name.slice(0, 17)}…` : name);
  return html`<figure><svg viewBox="0 0 ${width} ${height}" role="img"><title>Confusion matrix</title><desc>Rows are true classes, columns the model's answers; the table of classes below says the same in numbers.</desc>
${shown.map((truth, row) => html`<text class="tick" text-anchor="end" x="${left - 6}" y="${row * cell + cell / 2 + 4}">${label(classes[truth] ?? "")}</text>${shown.map((guess, column) => {
    const count = matrix[truth * size + guess] ?? 0;
    // Of many classes most pairs never happen: what is not drawn need not be stored.
    if (count === 0 && truth !== guess && shown.length > NUMBERS_MAX) return html``;
    const share = count / Math.max(1, rowSum(truth));
    return html`<rect class="${truth === guess ? "right" : "wrong"}" fill-opacity="${Math.round(share * 100) / 100}" x="${left + column * cell}" y="${row * cell}" width="${cell - 1}" height="${cell - 1}"><title>${classes[truth]} answered as ${classes[guess]}: ${count} (${(share * 100).toFixed(1)} %)</title></rect>${shown.length <= NUMBERS_MAX ? html`<text class="cell" text-anchor="middle" x="${left + column * cell + cell / 2}" y="${row * cell + cell / 2 + 4}">${count}</text>` : ""}`;
  })}`)}
${shown.map((guess, column) => html`<text class="tick" text-anchor="end" transform="translate(${left + column * cell + cell / 2 + 4} ${shown.length * cell + 8}) rotate(-55)">${label(classes[guess] ?? "")}</text>`)}
</svg><figcaption>Confusion matrix: true class (rows) × answer (columns)${shown.length < size ? `, the ${shown.length} most frequent of ${size} classes` : ""}</figcaption></figure>`;
}
