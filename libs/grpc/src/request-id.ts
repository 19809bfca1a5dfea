import { randomFillSync } from "node:crypto";

const ID_BYTES = 16;
const POOL_BYTES = 256 * ID_BYTES;

const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
let used = POOL_BYTES;

/** A fresh id, 32 hexadecimal digits: randomness is drawn for many at once, since every call needs one. */
export function newRequestId(): string {
  if (used === POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  used += ID_BYTES;
  return pool.toString("hex", used - ID_BYTES, used);
}
