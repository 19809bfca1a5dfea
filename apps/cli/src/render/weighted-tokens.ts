/** A token of a text and how much it added to the answer. */
export interface WeightedToken {
  readonly text: string;
  /** Where it begins in the text; -1 = it stands for no part of it. */
  readonly start: number;
  readonly end: number;
  readonly weight: number;
}

/** The text with a background of red where it spoke for the answer and blue where against, for terminals with 256 colours. */
export function coloredText(text: string, tokens: readonly WeightedToken[]): string {
  const largest = largestWeight(tokens);
  return pieces(text, tokens)
    .map(({ text: piece, weight }) => {
      const level = Math.round((Math.abs(weight) / largest) * (SHADES.length - 1));
      if (level === 0) return piece;
      return `\x1b[48;5;${(weight > 0 ? REDS : BLUES)[level] ?? 0};38;5;${level > 2 ? 231 : 16}m${piece}\x1b[0m`;
    })
    .join("");
}

/** A page that shows the text in colours, each token's number under the pointer, special tokens greyed. */
export function explanationPage(title: string, notes: readonly string[], text: string, tokens: readonly WeightedToken[]): string {
  const largest = largestWeight(tokens);
  const spans = pieces(text, tokens).map(({ text: piece, weight, isToken }) => {
    const part = Math.abs(weight) / largest;
    const style = `background:rgba(${weight > 0 ? "224,32,32" : "32,96,224"},${(0.8 * part).toFixed(3)})`;
    return isToken ? `<span style="${style}" title="${weight.toPrecision(4)}">${escaped(piece)}</span>` : escaped(piece);
  });
  const rows = [...tokens].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).map(({ text: token, start, weight }) => `<tr${start < 0 ? ' class="special"' : ""}><td>${escaped(token)}</td><td>${weight.toFixed(4)}</td></tr>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:16px/1.6 system-ui,sans-serif;margin:2rem auto;max-width:44rem;padding:0 1rem}.text{font-size:1.3rem;white-space:pre-wrap}.special{color:#888}td{padding:.1rem 1rem .1rem 0}td+td{text-align:right;font-variant-numeric:tabular-nums}</style>
<h1>${escaped(title)}</h1>
${notes.map((note) => `<p>${escaped(note)}</p>`).join("\n")}
<p class="text">${spans.join("")}</p>
<table>${rows.join("\n")}</table>
</html>
`;
}

const SHADES = [0, 1, 2, 3, 4];
/** Of the 256 colours' cube, from pale to full. */
const REDS = [0, 224, 217, 203, 160];
const BLUES = [0, 189, 147, 69, 27];

interface Piece {
  readonly text: string;
  readonly weight: number;
  readonly isToken: boolean;
}

/** The text from its first to its last character, cut where tokens begin and end. */
function pieces(text: string, tokens: readonly WeightedToken[]): Piece[] {
  const result: Piece[] = [];
  let at = 0;
  for (const { start, end, weight } of tokens.filter((token) => token.start >= 0)) {
    if (start > at) result.push({ text: text.slice(at, start), weight: 0, isToken: false });
    if (end > Math.max(start, at)) result.push({ text: text.slice(Math.max(start, at), end), weight, isToken: true });
    at = Math.max(at, end);
  }
  if (at < text.length) result.push({ text: text.slice(at), weight: 0, isToken: false });
  return result;
}

const largestWeight = (tokens: readonly WeightedToken[]): number => Math.max(...tokens.map(({ weight }) => Math.abs(weight)), Number.MIN_VALUE);

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
