// The registry's view of placement: what a deployment weighs, and whether it may leave memory. Where it goes is decided by
// the pure function of @servable/scheduling, which is also run in simulation (docs/placement.md).

import { estimateFootprintBytes, placeModels } from "@servable/scheduling";
import { pipelineStepsOf } from "./pipeline-steps.ts";
import type { DeploymentRecord, ReplicaRecord, VersionRecord, VersionStatusRecord } from "./records.ts";

/** A deployment with the versions that it is to serve. */
export interface PlacedDeployment {
  readonly deployment: DeploymentRecord;
  readonly wanted: readonly VersionRecord[];
  /** What replicas say of its versions. */
  readonly statuses: readonly VersionStatusRecord[];
}

/** Replica ids by deployment name; fewer than wanted when there are fewer replicas. A pure function of its arguments. */
export function place(deployments: readonly PlacedDeployment[], replicas: readonly ReplicaRecord[]): Map<string, string[]> {
  // Whoever is about to stop gets nothing.
  const takers = replicas.filter(({ draining }) => !draining).map(({ replicaId, memoryBudgetBytes }) => ({ id: replicaId, budgetBytes: memoryBudgetBytes }));
  const placed = placeModels(
    deployments.map(({ deployment, wanted, statuses }) => ({
      name: deployment.name,
      replicaCount: deployment.replicaCount,
      bytes: wanted.reduce((total, version) => total + bytesOf(version, statuses), 0),
      pinned: wanted.some((version) => isPinned(version, deployment)),
    })),
    takers,
  );
  bringSteps(placed, deployments);
  return placed;
}

/** A pipeline's models are wherever it is, besides where they are by themselves: tensors are handed on by reference. */
function bringSteps(placed: Map<string, string[]>, deployments: readonly PlacedDeployment[]): void {
  const edges = deployments.flatMap(({ deployment, wanted }) => {
    const steps = new Set(wanted.flatMap((version) => pipelineStepsOf(version, deployment)));
    return [...steps].map((step) => ({ pipeline: deployment.name, step: `projects/${deployment.project}/deployments/${step}` }));
  });
  // Pipelines may call pipelines: as many rounds as that goes deep, and sets only grow.
  for (let grew = edges.length > 0; grew; ) {
    grew = false;
    for (const { pipeline, step } of edges) {
      const holders = placed.get(step);
      const missing = (placed.get(pipeline) ?? []).filter((id) => holders?.includes(id) === false);
      if (holders === undefined || missing.length === 0) continue;
      placed.set(step, [...holders, ...missing]);
      grew = true;
    }
  }
}

/** What replicas measured; before anyone has, an estimate from the size of the files. */
function bytesOf({ number, artifacts }: VersionRecord, statuses: readonly VersionStatusRecord[]): number {
  const measured = Math.max(0, ...statuses.filter(({ version }) => version === number).map(({ memoryBytes }) => memoryBytes));
  return measured > 0 ? measured : estimateFootprintBytes(artifacts.reduce((total, { sizeBytes }) => total + sizeBytes, 0));
}

function isPinned(version: VersionRecord, deployment: DeploymentRecord): boolean {
  return (pinnedSetting(deployment.servingConfigJson) ?? pinnedSetting(version.servingConfigJson)) === "true";
}

/** `parameters["servable.pinned"]` of a ModelConfig in JSON, whose form was checked when it was stored. */
function pinnedSetting(servingConfigJson: string): string | undefined {
  if (!servingConfigJson.includes("servable.pinned")) return undefined;
  const { parameters } = JSON.parse(servingConfigJson) as { parameters?: Readonly<Record<string, { stringValue?: string; string_value?: string }>> };
  const parameter = parameters?.["servable.pinned"];
  const text: unknown = parameter?.stringValue ?? parameter?.string_value;
  return typeof text === "string" ? text.toLowerCase() : undefined;
}
