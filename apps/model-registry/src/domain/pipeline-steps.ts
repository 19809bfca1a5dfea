import { parse } from "yaml";
import { TASK_MODELS_PARAMETER } from "./manifest-check.ts";
import type { DeploymentRecord, VersionRecord } from "./records.ts";

/** Nodes of a graph deeper than this are refused when it is loaded. */
const DEPTH_MAX = 128;

/** The models that a version calls by its settings, by name: the steps of an ensemble, the models of a typed graph or of its tasks; none for others. */
export function pipelineStepsOf({ servingConfigJson }: Pick<VersionRecord, "servingConfigJson">, deployment: Pick<DeploymentRecord, "servingConfigJson">): string[] {
  return [...new Set([servingConfigJson, deployment.servingConfigJson].flatMap(stepsIn))];
}

function stepsIn(servingConfigJson: string): string[] {
  // Most settings are no pipeline's, and this is asked at every change.
  if (!/ensemble_?scheduling|servable\.(graph|task_models)/i.test(servingConfigJson)) return [];
  const config = JSON.parse(servingConfigJson) as Settings; // Its form was checked when it was stored.
  const steps = ((config.ensembleScheduling ?? config.ensemble_scheduling)?.step ?? []).map(({ modelName, model_name }) => modelName ?? model_name ?? "");
  const textOf = (name: string): string => config.parameters?.[name]?.stringValue ?? config.parameters?.[name]?.string_value ?? "";
  const graph = textOf("servable.graph");
  return [...steps, ...(graph === "" ? [] : modelsIn(graph)), ...textOf(TASK_MODELS_PARAMETER).split(",")].filter((name) => name !== "");
}

interface Settings {
  readonly ensembleScheduling?: Ensemble;
  readonly ensemble_scheduling?: Ensemble;
  readonly parameters?: Readonly<Record<string, { readonly stringValue?: string; readonly string_value?: string }>>;
}
interface Ensemble {
  readonly step?: readonly { readonly modelName?: string; readonly model_name?: string }[];
}

function modelsIn(graph: string): string[] {
  try {
    return modelsOf(parse(graph, { maxAliasCount: 0 }), 0);
  } catch {
    return []; // The replica that loads it says what is wrong with it.
  }
}

function modelsOf(node: unknown, depth: number): string[] {
  if (typeof node !== "object" || node === null || depth > DEPTH_MAX) return [];
  const { model } = node as { readonly model?: unknown };
  return [...(typeof model === "string" ? [model] : []), ...Object.values(node).flatMap((each) => modelsOf(each, depth + 1))];
}
