// Metrics of the process for whoever asks, and sources beside it. They belong to the process, like OpenTelemetry's own globals.

import type { ForeignMetrics } from "./metrics-text.ts";

/** Tells metrics of other processes. */
export type MetricsSource = () => Promise<readonly ForeignMetrics[]>;

const sources = new Set<MetricsSource>();
let own: (() => Promise<string>) | undefined;

/** Lets this process's endpoint tell the source's metrics beside its own, until disposed. */
export function addMetricsSource(source: MetricsSource): Disposable {
  sources.add(source);
  return { [Symbol.dispose]: () => void sources.delete(source) };
}

/** This process's own metrics in Prometheus' text form; empty when it collects none. */
export async function ownMetricsText(): Promise<string> {
  return (await own?.()) ?? "";
}

/** Sets what {@link ownMetricsText} tells. */
export function setOwnMetrics(text: (() => Promise<string>) | undefined): void {
  own = text;
}

/** What the sources tell; one that fails is left out. */
export async function foreignMetrics(): Promise<ForeignMetrics[]> {
  const told = await Promise.allSettled([...sources].map((source) => source()));
  return told.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
}
