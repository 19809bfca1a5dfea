// What should be and what is, computed from three lists: deployments (wanted), leases (who is there) and reports (what each
// one serves). Nothing here is stored, so nothing here can be stale after a crash.
//
// I1  A version that serves is kept until a wanted one of its deployment serves somewhere: callers never see a gap.
// I2  Only what serves on live replicas is routed to: READY copies, and where there is none, IDLE ones, which load at a call.
// I3  A deployment is READY only when its wanted versions serve with the settings of now; a replica that could not load new
//     settings says so in the message of the version that still serves with the old ones.
// I4  A copy that is to move is kept where it is until as many of the new places serve: a replica that comes, goes in order
//     or fills up costs no call.

import { createHash } from "node:crypto";
import { place } from "./placement.ts";
import type { DeploymentRecord, ReplicaRecord, VersionRecord, VersionStatusRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";
import { WantedVersions } from "./wanted-versions.ts";

/** The contract's VersionStatus.State. */
export const VERSION_STATUS = { LOADING: 1, READY: 2, FAILED: 3, UNLOADING: 4, IDLE: 5 } as const;

/** One version that a replica is to serve. */
export interface PlannedAssignment {
  readonly deployment: DeploymentRecord;
  readonly version: VersionRecord;
  readonly isDefault: boolean;
  readonly etag: string;
  /** Aliases that point at the version. */
  readonly aliases: readonly string[];
}

/** Where one version of a deployment can be called. */
export interface PlannedRoute {
  readonly deployment: string;
  readonly version: VersionRecord;
  readonly isDefault: boolean;
  readonly addresses: readonly string[];
  /** Aliases that point at the version. */
  readonly aliases: readonly string[];
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
export async function readServingState(store: RegistryStore, nowMs: number, wantedOf = new WantedVersions()): Promise<ServingState> {
  const sequence = await store.events.newest();
  const [deployments, replicas, reported, aliases] = await Promise.all([store.deployments.all(), store.replicas.live(nowMs), store.replicas.statuses(), store.aliases.all()]);
  const aliasesOf = Map.groupBy(aliases, ({ version }) => version);
  const live = new Map(replicas.map((replica) => [replica.replicaId, replica]));
  const statuses = reported.filter(({ replicaId }) => live.has(replicaId));
  const statusesOf = Map.groupBy(statuses, ({ deployment }) => deployment);
  const wantedLists = await wantedOf.of(store, deployments, sequence);
  const entries = deployments.map((deployment, index) => ({ deployment, wanted: wantedLists[index] ?? [], statuses: statusesOf.get(deployment.name) ?? [] }));
  const placement = place(entries, replicas);

  const routes: PlannedRoute[] = [];
  const views = new Map<string, DeploymentView>();
  const planned = new Map<string, PlannedAssignment[]>(replicas.map(({ replicaId }) => [replicaId, []]));
  for (const { deployment, wanted, statuses: of } of entries) {
    const servedBy = (version: number): VersionStatusRecord[] => of.filter((status) => status.version === version && serves(status));
    const wantedNumbers = wanted.map(({ number }) => number);
    const readyNumbers = [...new Set(of.filter(serves).map(({ version }) => version))].sort((a, b) => a - b);
    const wantedServes = wantedNumbers.some((number) => readyNumbers.includes(number));
    // I1
    const keptNumbers = wantedServes ? [] : readyNumbers.filter((number) => !wantedNumbers.includes(number));
    const kept = (await Promise.all(keptNumbers.map((number) => store.versions.get(`${deployment.model}/versions/${number}`)))).filter((version) => version !== undefined);
    const versions = [...kept, ...wanted].sort((a, b) => a.number - b.number);
    const defaultNumber = versions.filter(({ number }) => readyNumbers.includes(number)).at(-1)?.number ?? versions.at(-1)?.number;

    for (const version of versions) {
      const etag = assignmentEtag(deployment, version);
      const isDefault = version.number === defaultNumber;
      const labels = (aliasesOf.get(version.name) ?? []).map(({ name }) => name.slice(name.lastIndexOf("/") + 1));
      const serving = servedBy(version.number);
      const holders = kept.includes(version) ? serving.map(({ replicaId }) => replicaId) : holdersOf(placement.get(deployment.name) ?? [], serving, deployment.replicaCount);
      for (const replicaId of holders) planned.get(replicaId)?.push({ deployment, version, isDefault, etag, aliases: labels });
      const loaded = serving.filter(({ state }) => state === VERSION_STATUS.READY);
      const addresses = (loaded.length > 0 ? loaded : serving).map(({ replicaId }) => live.get(replicaId)?.address ?? "").filter((address) => address !== ""); // I2
      if (addresses.length > 0) routes.push({ deployment: deployment.name, version, isDefault, addresses, aliases: labels });
    }
    views.set(deployment.name, viewOf(deployment, wanted, of, readyNumbers));
  }
  return { sequence, replicas, routes, views, assignments: (replicaId) => planned.get(replicaId) ?? [] };
}

/** Whether others serve all that a replica serves, or nobody else is there to. */
export function isHandedOver({ replicas, routes }: Pick<ServingState, "replicas" | "routes">, replicaId: string): boolean {
  const own = replicas.find((replica) => replica.replicaId === replicaId)?.address;
  return !replicas.some((replica) => replica.replicaId !== replicaId && !replica.draining) || routes.every(({ addresses }) => addresses.length !== 1 || addresses[0] !== own);
}

function serves({ state }: VersionStatusRecord): boolean {
  return state === VERSION_STATUS.READY || state === VERSION_STATUS.IDLE;
}

/** I4: where a version is to be, and besides where it still serves while too few of those places do. */
function holdersOf(placed: readonly string[], serving: readonly VersionStatusRecord[], replicaCount: number): string[] {
  const missing = replicaCount - placed.filter((id) => serving.some(({ replicaId }) => replicaId === id)).length;
  const elsewhere = serving.map(({ replicaId }) => replicaId).filter((id) => !placed.includes(id));
  return [...placed, ...elsewhere.slice(0, Math.max(0, missing))];
}

/** Differs whenever the version must be loaded anew. */
function assignmentEtag(deployment: DeploymentRecord, version: VersionRecord): string {
  return createHash("sha256").update(JSON.stringify([version.digest, version.servingConfigJson, deployment.servingConfigJson])).digest("hex").slice(0, 16);
}

function viewOf(deployment: DeploymentRecord, wanted: readonly VersionRecord[], statuses: readonly VersionStatusRecord[], ready: readonly number[]): DeploymentView {
  const numbers = wanted.map(({ number }) => number);
  const isCurrent = ({ version, assignmentEtag: etag }: VersionStatusRecord): boolean => etag === "" || wanted.some((each) => each.number === version && assignmentEtag(deployment, each) === etag);
  const current = statuses.filter((status) => serves(status) && isCurrent(status)).map(({ version }) => version);
  // I3
  const failed = statuses.find((status) => numbers.includes(status.version) && !current.includes(status.version) && (status.state === VERSION_STATUS.FAILED || (serves(status) && status.message !== "")));
  const state = failed !== undefined ? "FAILED" : numbers.length > 0 && numbers.every((number) => current.includes(number)) ? "READY" : "PENDING";
  return { deployment, state, failureMessage: failed === undefined ? "" : `version ${failed.version}: ${failed.message}`, wanted: numbers, ready };
}
