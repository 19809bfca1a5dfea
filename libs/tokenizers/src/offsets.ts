// Where tokens stand in their text. The tokenizer keeps no account of it, so we follow its tracks: the text is normalised
// character by character into bytes that remember where they come from, and each token takes the bytes that it spells.
// White space takes part in neither. A token that spells nothing (an unknown word) takes what lies before the next token
// that is found at the beginning of a word.

/** [start, end) in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/** What following the tracks needs of a tokenizer. */
export interface OffsetContext {
  readonly normalize: (text: string) => string;
  /** "##" of WordPiece, else "". */
  readonly continuation: string;
  /** The unknown token. */
  readonly unknown: string | undefined;
  /** Tokens that are found in the text as they are, before anything is normalised. */
  readonly added: ReadonlySet<string>;
}

interface Track {
  readonly bytes: Uint8Array;
  /** Of each byte: where its character begins and ends in the text. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** Whether a word may begin at the byte. */
  readonly word: Uint8Array;
}

/** WordPiece never sees white space; elsewhere all but the blank may be part of a token. */
const ALL_SPACES = /[\s\u2581]/gu;
const BLANKS = /[ \u2581]/gu;
const BLANK_BYTE = 0x20;
const ALONE = /[\p{P}\p{S}\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u{20000}-\u{2fa1f}]/u;
const ENCODER = new TextEncoder();

/** The span of each token, special tokens left out. */
export function offsetsOf(text: string, tokens: readonly { readonly token: string }[], context: OffsetContext): Span[] {
  const spaces = context.continuation === "" ? BLANKS : ALL_SPACES;
  const track = trackOf(text, context.normalize, spaces);
  const spelled = tokens.map(({ token }) => (token === context.unknown ? undefined : bytesOfToken(token, context.continuation, spaces)));
  let at = 0;
  return spelled.map((bytes, index): Span => {
    const added = tokens[index]?.token ?? "";
    const start = context.added.has(added) ? text.indexOf(added, track.starts[at] ?? text.length) : -1;
    if (start !== -1) {
      while (at < track.bytes.length && (track.starts[at] ?? 0) < start + added.length) at++;
      return [start, start + added.length];
    }
    const end = bytes !== undefined && matches(track, at, bytes) ? at + bytes.length : endOfUnknown(track, at, spelled.slice(index + 1).find((next) => next !== undefined && next.length > 0), spelled[index + 1] === undefined);
    const from = track.starts[at] ?? text.length;
    const span: Span = [from, end > at ? (track.ends[end - 1] ?? from) : from];
    at = end;
    return span;
  });
}

function trackOf(text: string, normalize: (text: string) => string, spaces: RegExp): Track {
  const bytes: number[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  const word: number[] = [];
  let begins = true;
  let at = 0;
  for (const character of text) {
    const alone = ALONE.test(character);
    const normal = ENCODER.encode(normalize(character).replaceAll(spaces, ""));
    begins ||= alone;
    normal.forEach((byte) => {
      bytes.push(byte);
      starts.push(at);
      ends.push(at + character.length);
      word.push(begins ? 1 : 0);
      begins = false;
    });
    if (alone || /\s/u.test(character)) begins = true;
    at += character.length;
  }
  return { bytes: Uint8Array.from(bytes), starts: Int32Array.from(starts), ends: Int32Array.from(ends), word: Uint8Array.from(word) };
}

function matches(track: Track, at: number, bytes: Uint8Array): boolean {
  return bytes.every((byte, index) => track.bytes[at + index] === byte);
}

/** The unknown word ends where the next known token begins, or where the next word does if that is unknown too. */
function endOfUnknown(track: Track, at: number, next: Uint8Array | undefined, nextIsUnknown: boolean): number {
  for (let end = at + 1; end < track.bytes.length; end++) {
    if (track.word[end] === 1 && (nextIsUnknown || next === undefined || matches(track, end, next))) return end;
  }
  return track.bytes.length;
}

function bytesOfToken(token: string, continuation: string, spaces: RegExp): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16)).filter((value) => value !== BLANK_BYTE);
  const text = continuation !== "" && token.startsWith(continuation) ? token.slice(continuation.length) : token;
  const units = [...text.replace(/<\/w>$/, "")];
  if (continuation === "" && !text.includes("\u2581") && units.every((unit) => BYTE_OF_CHARACTER.has(unit))) {
    return Uint8Array.from(units, (unit) => BYTE_OF_CHARACTER.get(unit) ?? 0).filter((value) => value !== BLANK_BYTE);
  }
  return ENCODER.encode(text.replaceAll(spaces, ""));
}

/** The alphabet of byte-level BPE: printable bytes stand for themselves, others for U+0100 and on (GPT-2, `bytes_to_unicode`). */
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = (() => {
  const printable = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let others = 0;
  return new Map(Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(printable(byte) ? byte : 0x100 + others++), byte] as const));
})();
