// The child that touches strangers' pictures. It takes one job at a time over IPC and ends with its parent.

import { writeFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { decode } from "./decode.ts";
import type { CutLine, ImageAnswer, ImageJob, ImageRequestMessage, ImageResponseMessage, LineSpec } from "./image-job.ts";
import type { Picture } from "./picture.ts";
import { resample } from "./resample.ts";
import { toTensor, valuesOf } from "./to-tensor.ts";
import { turnLeft, warp, type Quad } from "./warp.ts";

/** Crops that are this much higher than wide hold a line that runs downwards. */
const UPRIGHT_RATIO = 1.5;

try {
  // When memory runs out, this process is the one to go. Only Linux knows the file.
  writeFileSync("/proc/self/oom_score_adj", "1000");
} catch {
  // Without it the parent's own watch remains.
}
process.on("disconnect", () => process.exit(0));
process.on("message", (message: ImageRequestMessage) => void answer(message));
process.send?.({ ready: true } satisfies ImageResponseMessage);

async function answer({ id, job }: ImageRequestMessage): Promise<void> {
  let response: ImageResponseMessage;
  try {
    response = { id, answer: await run(job) };
  } catch (error) {
    const { reason, message } = error instanceof StatusError ? error : new StatusError("INTERNAL", `the picture could not be prepared: ${String(error)}`);
    response = { id, reason, message };
  }
  process.send?.(response);
}

async function run(job: ImageJob): Promise<ImageAnswer> {
  switch (job.op) {
    case "tensor": {
      const { source, spec } = job;
      const { picture, width, height } = source instanceof Uint8Array ? await decode(source, job.decode) : { picture: source, width: source.width, height: source.height };
      return { ...toTensor(picture, spec), datatype: spec.datatype, width, height };
    }
    case "picture":
      return decode(job.source, job.decode);
    case "lines":
      return job.quads.map((quad) => cutLine(job.picture, quad, job.spec));
    default: {
      const never: never = job;
      throw new TypeError(`unknown job ${String(never)}`);
    }
  }
}

function cutLine(picture: Picture, quad: Quad, spec: LineSpec): CutLine {
  const cut = warp(picture, quad);
  const line = cut.height >= cut.width * UPRIGHT_RATIO ? turnLeft(cut) : cut;
  const width = Math.min(Math.max(1, Math.ceil((line.width * spec.height) / line.height)), spec.width ?? spec.widthMax);
  const scaled = valuesOf(resample(line, { left: 0, top: 0, width: line.width, height: line.height }, width, spec.height, spec.resample), spec);
  return spec.width === undefined || spec.width === width ? scaled : widen(scaled, spec.width, spec);
}

/** Zeros to the right of a line. */
function widen({ shape, data }: CutLine, width: number, { layout }: LineSpec): CutLine {
  const axis = layout === "nchw" ? 2 : 1;
  const rows = shape.slice(0, axis).reduce((product, size) => product * size, 1);
  const wide = shape.map((size, index) => (index === axis ? width : size));
  const rowBytes = data.length / rows;
  const wideRowBytes = (rowBytes / (shape[axis] ?? 1)) * width;
  const out = new Uint8Array(rows * wideRowBytes);
  for (let row = 0; row < rows; row++) out.set(data.subarray(row * rowBytes, (row + 1) * rowBytes), row * wideRowBytes);
  return { shape: wide, data: out };
}
