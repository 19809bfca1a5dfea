import { isDeepStrictEqual } from "node:util";
import { titleOf, workloadsOf, type Container, type Manifest } from "./document.ts";

/**
 * Two ways to install describe one platform: the same pods, up to labels and image tags, and the same other objects by
 * name. (Who fixes a probe in one of them and forgets the other reads it here.)
 */
export function parityFindings(kustomize: readonly Manifest[], helm: readonly Manifest[]): string[] {
  const titles = (manifests: readonly Manifest[]): string[] => manifests.filter(isComparable).map(titleOf).sort();
  const [left, right] = [new Set(titles(kustomize)), new Set(titles(helm))];
  const findings = [
    ...[...left].filter((title) => !right.has(title)).map((title) => `${title} is in Kustomize only`),
    ...[...right].filter((title) => !left.has(title)).map((title) => `${title} is in Helm only`),
  ];
  const ofHelm = new Map(workloadsOf(helm).map((workload) => [titleOf(workload.owner), workload.spec]));
  for (const { owner, spec } of workloadsOf(kustomize)) {
    const other = ofHelm.get(titleOf(owner));
    if (other === undefined) continue;
    const [mine, theirs] = [comparable(spec), comparable(other)] as Record<string, unknown>[];
    for (const field of new Set([...Object.keys(mine ?? {}), ...Object.keys(theirs ?? {})])) {
      if (!isDeepStrictEqual(mine?.[field], theirs?.[field]))
        findings.push(
          `${titleOf(owner)}: ${field} differs, Kustomize ${JSON.stringify(mine?.[field])}, Helm ${JSON.stringify(theirs?.[field])}`,
        );
    }
  }
  return findings;
}

/** Helm leaves namespaces to its caller and brings a test; policies are compared by the edges that they allow. */
function isComparable({ kind }: Manifest): boolean {
  return kind !== "Namespace" && kind !== "Pod" && kind !== "NetworkPolicy";
}

/** A pod's fields with those of its container beside them, without what differs by design. */
function comparable(spec: { readonly containers: readonly Container[] }): unknown {
  const {
    containers,
    topologySpreadConstraints: spread,
    ...pod
  } = spec as typeof spec & { topologySpreadConstraints?: readonly { labelSelector?: unknown }[] };
  const [{ env = [], image = "", ...container } = { name: "" } as Container] = containers;
  return JSON.parse(
    JSON.stringify({
      ...pod,
      spread: spread?.map(({ labelSelector: _labels, ...constraint }) => constraint),
      ...Object.fromEntries(Object.entries(container).map(([name, value]) => [`container.${name}`, value])),
      "container.image": image.replace(/:[^/]*$/, ""),
      "container.env": [...env].sort((a, b) => a.name.localeCompare(b.name)),
    }),
  ) as unknown;
}
