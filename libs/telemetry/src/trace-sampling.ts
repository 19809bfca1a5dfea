import { SamplingDecision, type Sampler, type SamplingResult } from "@opentelemetry/sdk-trace";

/** How traces that begin in this process are chosen. */
export interface TraceSampling {
  readonly enabled: boolean;
  /** One of so many is recorded. */
  readonly rate: number;
}

let sampling: TraceSampling = { enabled: true, rate: 1 };
let seen = 0;

/** Changes how traces are chosen that begin in this process, from now on. What began elsewhere is decided there. */
export function setTraceSampling(wanted: TraceSampling): void {
  sampling = wanted;
  seen = 0;
}

/** The sampler that the set-up chose, behind a switch. */
export function switchable(base: Sampler): Sampler {
  return {
    shouldSample(...call): SamplingResult {
      const { enabled, rate } = sampling;
      seen = (seen + 1) % rate;
      return enabled && seen === 0 ? base.shouldSample(...call) : { decision: SamplingDecision.NOT_RECORD };
    },
    toString: () => `Switchable{${base.toString()}}`,
  };
}
