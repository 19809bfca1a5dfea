// What should be and what is, computed from three lists: deployments (wanted), leases (who is there) and reports (what each
// one serves). Nothing here is stored, so nothing here can be stale after a crash.
//
// I1  A version that serves is kept until a wanted one of its deployment serves somewhere: callers never see a gap.
// I2  Only READY versions on live replicas are routed to.
// I3  A deployment is READY only when its wanted versions serve with the settings of now; a replica that could not load new
//     settings says so in the message of the version that still serves with the old ones.

import { createHash } from "node:crypto";
import { wantedVersions } from "./deployment-catalog.ts";
import { place } from "./placement.ts";
import type { DeploymentRecord, ReplicaRecord, VersionRecord, VersionStatusRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";

/** The contract's VersionStatus.State. */
export const VERSION_STATUS = { LOADING: 1, READY: 2, FAILED: 3, UNLOADING: 4 } as const;

/** One version that a replica is to serve. */
export interface PlannedAssignment {
  readonly deployment: DeploymentRecord;
  readonly version: VersionRecord;
  readonly isDefault: boolean;
  readonly etag: string;
}

/** Where one version of a deployment can be called. */
export interface PlannedRoute {
  readonly deployment: string;
  readonly version: VersionRecord;
  readonly isDefault: boolean;
  readonly addresses: readonly string[];
}

/** A deployment with what came of it. */
export interface DeploymentView {
  readonly deployment: DeploymentRecord;
  readonly state: "PENDING" | "READY" | "FAILED";
  readonly failureMessage: string;
  readonly wanted: readonly number[];
  readonly ready: readonly number[];
}

/** All of it at one moment. */
export interface ServingState {
  readonly sequence: number;
  readonly replicas: readonly ReplicaRecord[];
  readonly routes: readonly PlannedRoute[];
  readonly views: ReadonlyMap<string, DeploymentView>;
  /** Assignments of one replica by deployment and version. */
  assignments(replicaId: string): readonly PlannedAssignment[];
}

/** Reads the lists and computes the state. */
export async function readServingState(store: RegistryStore, nowMs: number): Promise<ServingState> {
  const sequence = await store.events.newest();
  const [deployments, replicas, reported] = await Promise.all([store.deployments.all(), store.replicas.live(nowMs), store.replicas.statuses()]);
  const live = new Map(replicas.map((replica) => [replica.replicaId, replica]));
  const statuses = reported.filter(({ replicaId }) => live.has(replicaId));
  const placement = place(deployments, [...live.keys()]);

  const routes: PlannedRoute[] = [];
  const views = new Map<string, DeploymentView>();
  const planned = new Map<string, PlannedAssignment[]>(replicas.map(({ replicaId }) => [replicaId, []]));
  for (const deployment of deployments) {
    const wanted = await wantedVersions(store, deployment);
    const of = statuses.filter((status) => status.deployment === deployment.name);
    const readyOn = (version: number): VersionStatusRecord[] => of.filter((status) => status.version === version && status.state === VERSION_STATUS.READY);
    const wantedNumbers = wanted.map(({ number }) => number);
    const readyNumbers = [...new Set(of.filter(({ state }) => state === VERSION_STATUS.READY).map(({ version }) => version))].sort((a, b) => a - b);
    const wantedServes = wantedNumbers.some((number) => readyNumbers.includes(number));
    // I1
    const keptNumbers = wantedServes ? [] : readyNumbers.filter((number) => !wantedNumbers.includes(number));
    const kept = (await Promise.all(keptNumbers.map((number) => store.versions.get(`${deployment.model}/versions/${number}`)))).filter((version) => version !== undefined);
    const versions = [...kept, ...wanted].sort((a, b) => a.number - b.number);
    const defaultNumber = versions.filter(({ number }) => readyNumbers.includes(number)).at(-1)?.number ?? versions.at(-1)?.number;

    for (const version of versions) {
      const etag = assignmentEtag(deployment, version);
      const isDefault = version.number === defaultNumber;
      const holders = kept.includes(version) ? readyOn(version.number).map(({ replicaId }) => replicaId) : (placement.get(deployment.name) ?? []);
      for (const replicaId of holders) planned.get(replicaId)?.push({ deployment, version, isDefault, etag });
      const addresses = readyOn(version.number).map(({ replicaId }) => live.get(replicaId)?.address ?? "").filter((address) => address !== ""); // I2
      if (addresses.length > 0) routes.push({ deployment: deployment.name, version, isDefault, addresses });
    }
    views.set(deployment.name, viewOf(deployment, wanted, of, readyNumbers));
  }
  return { sequence, replicas, routes, views, assignments: (replicaId) => planned.get(replicaId) ?? [] };
}

/** Differs whenever the version must be loaded anew. */
function assignmentEtag(deployment: DeploymentRecord, version: VersionRecord): string {
  return createHash("sha256").update(JSON.stringify([version.digest, version.servingConfigJson, deployment.servingConfigJson])).digest("hex").slice(0, 16);
}

function viewOf(deployment: DeploymentRecord, wanted: readonly VersionRecord[], statuses: readonly VersionStatusRecord[], ready: readonly number[]): DeploymentView {
  const numbers = wanted.map(({ number }) => number);
  const isCurrent = ({ version, assignmentEtag: etag }: VersionStatusRecord): boolean => etag === "" || wanted.some((each) => each.number === version && assignmentEtag(deployment, each) === etag);
  const current = statuses.filter((status) => status.state === VERSION_STATUS.READY && isCurrent(status)).map(({ version }) => version);
  // I3
  const failed = statuses.find((status) => numbers.includes(status.version) && !current.includes(status.version) && (status.state === VERSION_STATUS.FAILED || (status.state === VERSION_STATUS.READY && status.message !== "")));
  const state = failed !== undefined ? "FAILED" : numbers.length > 0 && numbers.every((number) => current.includes(number)) ? "READY" : "PENDING";
  return { deployment, state, failureMessage: failed === undefined ? "" : `version ${failed.version}: ${failed.message}`, wanted: numbers, ready };
}
