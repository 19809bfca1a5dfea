import { createHash } from "node:crypto";

// Rendezvous hashing (Thaler & Ravishankar 1998): every deployment ranks every replica by a hash of both, and takes the
// first ones. Nothing has to be remembered, and a replica that goes moves only what it held.

/** What placement needs of a deployment. */
export interface PlacedDeployment {
  readonly name: string;
  /** On how many replicas it is wanted. */
  readonly replicaCount: number;
}

/** Replica ids by deployment name; fewer than wanted when there are fewer replicas. A pure function of its arguments. */
export function place(deployments: readonly PlacedDeployment[], replicaIds: readonly string[]): Map<string, string[]> {
  return new Map(
    deployments.map(({ name, replicaCount }) => {
      const ranked = replicaIds.map((id) => ({ id, weight: createHash("sha256").update(`${name}\n${id}`).digest("hex") })).sort((a, b) => (a.weight < b.weight ? 1 : -1));
      return [name, ranked.slice(0, replicaCount).map(({ id }) => id)];
    }),
  );
}
