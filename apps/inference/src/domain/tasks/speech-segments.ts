/** A stretch of samples that somebody speaks in. */
export interface Segment {
  readonly start: number;
  readonly end: number;
}

/** How probabilities become segments, in samples. */
export interface SegmentRules {
  readonly windowSamples: number;
  readonly threshold: number;
  readonly minSpeechSamples: number;
  readonly minSilenceSamples: number;
  readonly padSamples: number;
}

/** Speech that has begun goes on until the probability falls this far below the threshold. */
const HYSTERESIS = 0.15;

/**
 * Segments out of the probabilities of consecutive windows: speech begins at the threshold, short pauses do not end it,
 * short sounds are none, and each segment is widened a little, at most to the middle of the pause beside it.
 *
 * Source: get_speech_timestamps, snakers4/silero-vad, utils_vad.py.
 */
export function speechSegments(probabilities: readonly number[], sampleCount: number, { windowSamples, threshold, minSpeechSamples, minSilenceSamples, padSamples }: SegmentRules): Segment[] {
  const low = Math.max(threshold - HYSTERESIS, 0.01);
  const found: { start: number; end: number }[] = [];
  let start: number | undefined;
  let silence: number | undefined;
  const close = (end: number): void => {
    if (start !== undefined && end - start > minSpeechSamples) found.push({ start, end });
    start = silence = undefined;
  };
  probabilities.forEach((probability, index) => {
    const at = index * windowSamples;
    if (probability >= threshold) {
      silence = undefined;
      start ??= at;
    } else if (probability < low && start !== undefined) {
      silence ??= at;
      if (at - silence >= minSilenceSamples) close(silence);
    }
  });
  close(sampleCount);
  found.forEach((segment, index) => {
    const next = found[index + 1];
    if (index === 0) segment.start = Math.max(0, segment.start - padSamples);
    if (next === undefined) {
      segment.end = Math.min(sampleCount, segment.end + padSamples);
      return;
    }
    const pad = Math.min(padSamples, (next.start - segment.end) / 2);
    segment.end += Math.floor(pad);
    next.start -= Math.floor(pad);
  });
  return found;
}
