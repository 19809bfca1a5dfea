// What Prometheus reads: this process's metrics, and those that other processes of the installation gave to be told beside
// them. Format: https://prometheus.io/docs/instrumenting/exposition_formats/

import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import type { MetricReader } from "@opentelemetry/sdk-metrics";

/** Metrics of another process, in Prometheus' text form. */
export interface ForeignMetrics {
  /** Labels that tell its samples from others'. */
  readonly labels: Readonly<Record<string, string>>;
  readonly text: string;
}

const serializer = new PrometheusSerializer("", false, undefined, true, true);
/** Triton's counters have no suffix, whatever the convention; its dashboards must find them. */
const TRITON_SUFFIX = /^(# (?:HELP|TYPE) )?(nv_\w+?)_total\b/gm;

/** This process's metrics as text. */
export async function metricsTextOf(reader: MetricReader): Promise<string> {
  const { resourceMetrics } = await reader.collect();
  return serializer.serialize(resourceMetrics).replaceAll(TRITON_SUFFIX, "$1$2");
}

/** One text of several: each family once, with the samples of all; foreign samples carry their labels. */
export function mergeMetrics(own: string, foreign: readonly ForeignMetrics[]): string {
  const families = new Map<string, { head: string[]; samples: string[] }>();
  const add = (text: string, labels: string): void => {
    let family = families.get("");
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const head = /^# (?:HELP|TYPE) (\S+)/.exec(line);
      if (head === null) {
        if (!line.startsWith("#")) family?.samples.push(labels === "" ? line : withLabels(line, labels));
        continue;
      }
      const name = head[1] ?? "";
      family = families.get(name);
      if (family === undefined) families.set(name, (family = { head: [], samples: [] }));
      if (!family.head.some((each) => each.slice(0, 7) === line.slice(0, 7))) family.head.push(line);
    }
  };
  add(own, "");
  for (const { labels, text } of foreign) add(text, Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(","));
  return [...families.values()].flatMap(({ head, samples }) => [...head, ...samples, ""]).join("\n");
}

function withLabels(line: string, labels: string): string {
  const brace = line.indexOf("{");
  const space = line.indexOf(" ");
  if (brace !== -1 && brace < space) return `${line.slice(0, brace + 1)}${labels}${line[brace + 1] === "}" ? "" : ","}${line.slice(brace + 1)}`;
  return `${line.slice(0, space)}{${labels}}${line.slice(space)}`;
}
