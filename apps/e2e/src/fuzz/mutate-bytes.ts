import type { SeededRandom } from "@servable/testing";

/** Numbers that decoders stumble over, as varints: 2^32 - 1, 2^63, 2^64 - 1, one of eleven bytes, and an over-long zero. */
const VARINTS = ["ffffffff0f", "80808080808080808001", "ffffffffffffffffff01", "ffffffffffffffffffff01", "80808000"].map((hex) => Buffer.from(hex, "hex"));
/** Longest run of bytes that one change adds. */
const INSERTED_BYTES_MAX = 64;

/** The bytes with one to four changes: bits turned, bytes lost, doubled, made up or replaced by a number from the edge. */
export function mutateBytes(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  let mutated: Uint8Array = bytes;
  for (let changes = 1 + random.below(4); changes > 0; changes--) mutated = changeOnce(mutated, random);
  return mutated;
}

function changeOnce(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = Math.min(1 + random.below(INSERTED_BYTES_MAX), bytes.length - at);
  const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
  switch (random.below(7)) {
    case 0: {
      const flipped = Uint8Array.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
      return flipped;
    }
    case 1:
      return before;
    case 2:
      return Buffer.concat([before, after]);
    case 3:
      return Buffer.concat([before, part, part, after]);
    case 4:
      return Buffer.concat([before, Uint8Array.from({ length: 1 + random.below(INSERTED_BYTES_MAX) }, () => random.below(256)), part, after]);
    case 5:
      return Buffer.concat([before, random.pick(VARINTS), after]);
    default:
      return Buffer.concat([after, before]);
  }
}
