import type { WavAudio } from "./wav.ts";

/** Zero crossings of the sinc on either side: more is sharper and slower. */
const ZERO_CROSSINGS = 16;
/** The pass band ends a little below half the lower rate, where the window's slope begins. */
const ROLL_OFF = 0.95;

/** Samples of one channel at the rate that a model hears. */
export interface Samples {
  readonly count: number;
  /** Fills `out` with samples from `start` on; what lies outside of the sound is silence. */
  read(start: number, out: Float32Array): void;
}

/**
 * A sound at another rate, calculated where it is asked for, so that an hour of it takes no memory and blocks nobody.
 *
 * Source: band-limited interpolation with a Hann-windowed sinc, Smith, Digital Audio Resampling (2002).
 */
export function resampled(audio: WavAudio, sampleRate: number): Samples {
  const count = Math.floor((audio.frameCount * sampleRate) / audio.sampleRate);
  const at = (frame: number): number => (frame >= 0 && frame < audio.frameCount ? audio.mono(frame) : 0);
  if (audio.sampleRate === sampleRate) {
    return { count, read: (start, out) => void out.forEach((_, index) => (out[index] = at(start + index))) };
  }
  const step = audio.sampleRate / sampleRate;
  const cutoff = Math.min(1, 1 / step) * ROLL_OFF;
  const reach = ZERO_CROSSINGS / cutoff;
  return {
    count,
    read(start, out) {
      for (let index = 0; index < out.length; index++) {
        const center = (start + index) * step;
        let sum = 0;
        for (let frame = Math.ceil(center - reach); frame <= center + reach; frame++) {
          const distance = (frame - center) * cutoff;
          sum += at(frame) * sinc(distance) * (0.5 + 0.5 * Math.cos((Math.PI * distance) / ZERO_CROSSINGS));
        }
        out[index] = start + index < count ? sum * cutoff : 0;
      }
    },
  };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
