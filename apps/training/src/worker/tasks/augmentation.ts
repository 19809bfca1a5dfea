// Pictures changed at random while they are trained on. What happens to a picture follows from the seed, the place of its
// batch and its row alone: a job that goes on after a crash sees the same pictures.

import { randomStream } from "@servable/nn";
import type { AugmentationRecord } from "../../domain/training-spec-record.ts";
import type { BatchDraw } from "../learning-task.ts";

/** Changes a picture in place. pixels: [channels, height, width]. */
export function augment(pixels: Float32Array, [channels, height, width]: readonly [number, number, number], { flip, shift }: AugmentationRecord, place: { readonly seed: number; readonly draw: BatchDraw; readonly index: number }): void {
  const random = randomStream(place.seed, `augment ${place.draw.epoch} ${place.draw.step} ${place.index}`);
  const mirrored = flip && random.uniform() < 0.5;
  const [down, right] = shift === 0 ? [0, 0] : [Math.floor(random.uniform() * (2 * shift + 1)) - shift, Math.floor(random.uniform() * (2 * shift + 1)) - shift];
  if (!mirrored && down === 0 && right === 0) return;
  const before = pixels.slice();
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [fromY, shifted] = [y - down, x - right];
        const fromX = mirrored ? width - 1 - shifted : shifted;
        const inside = fromY >= 0 && fromY < height && shifted >= 0 && shifted < width;
        pixels[(channel * height + y) * width + x] = inside ? (before[(channel * height + fromY) * width + fromX] ?? 0) : 0;
      }
    }
  }
}
