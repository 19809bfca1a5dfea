// V8 forgets how young a buffer is: 64 MiB of buffers since the last full collection, and it collects fully, 20 ms at a time,
// although nearly all of them died long ago. Large messages fill that in a few dozen calls: full collections took half of
// the time with 600 KB messages. A collection of the young generation frees the same buffers in a millisecond, but V8 starts
// one only when its own small heap is full, which large messages hardly touch. So it is asked for one in time.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Far enough from V8's 64 MiB for what the count does not see, e.g. what node:http2 reads into. */
const COLLECT_EVERY_BYTES = 16 * 1024 * 1024;
/** Smaller pieces come from pools, with so many objects about them that V8 collects young ones by itself. */
const PIECE_BYTES_MIN = 8 * 1024;

type Collect = (options: { readonly type: "minor" }) => void;

let bytes = 0;
let collect: Collect | undefined;

/** Says that so many bytes of a message were put into memory of their own; collects young garbage now and then. */
export function countMessageBytes(count: number): void {
  if (count < PIECE_BYTES_MIN) return;
  bytes += count;
  if (bytes < COLLECT_EVERY_BYTES) return;
  bytes = 0;
  collect ??= collector();
  collect({ type: "minor" });
}

/** V8's own function, without a command-line flag: services are started in many ways. */
function collector(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
