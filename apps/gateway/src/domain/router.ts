// The routing table comes from the registry as full snapshots over one long call. While the registry is away the last
// table stays: inference must not stop because changes do.
//
// I1: the table in use is always a whole snapshot.
// I2: whoever waits for a change is woken by the next snapshot, by its own signal, or by its bound, whichever is first.

import { setTimeout as delay } from "node:timers/promises";
import type { RoutingTable } from "@servable/contracts/registry/v1/deployment";
import type { Signature } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import type { ModelReference } from "./model-reference.ts";

const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5_000;
/** How long a call waits for the first table. */
const FIRST_TABLE_MS = 5_000;
/** How long a call that needs any replica waits for the first one. */
const FIRST_REPLICA_MS = 3_000;
/** A model that was deployed a moment ago may be in the next snapshot: unknown ones get so long. */
const UNKNOWN_MODEL_GRACE_MS = 150;

/** Where one version of a model can be called. */
export interface Route {
  readonly project: string;
  readonly model: string;
  readonly version: string;
  /** Aliases of the version, which callers may say in place of its number. */
  readonly aliases: readonly string[];
  readonly isDefault: boolean;
  /** Replicas that serve it. */
  readonly addresses: readonly string[];
  readonly signature: Signature | undefined;
}

/** The gateway's view of what is served where. */
export interface Router extends AsyncDisposable {
  /** Whether a table has ever arrived. */
  readonly ready: boolean;
  /**
   * The route that a caller of a project means.
   *
   * @throws StatusError `MODEL_NOT_FOUND`, `MODEL_VERSION_NOT_FOUND`, `FIELD_INVALID` for a version that is neither number nor alias,
   * `MODEL_NOT_READY` when no replica serves it yet, `SERVICE_UNAVAILABLE` without any table
   */
  find(project: string, reference: ModelReference, signal: AbortSignal): Promise<Route>;
  /** The same without waiting; undefined when no replica serves it. */
  peek(project: string, reference: ModelReference): Route | undefined;
  /** The routes of a project. */
  list(project: string): Route[];
  /** Replicas that hold a lease. @throws StatusError `REPLICA_UNAVAILABLE` when there is none */
  replicas(signal: AbortSignal): Promise<readonly string[]>;
  /** Waits until the condition holds; answers whether it does when `timeoutMs` are over. */
  until(condition: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}

/** What a router stands on. */
export interface RouterOptions {
  /** Streams tables until the signal aborts or the connection breaks. */
  readonly watch: (signal: AbortSignal) => AsyncIterable<RoutingTable>;
  /** Told of every new table. */
  readonly onTable?: (addresses: ReadonlySet<string>) => void;
  readonly onDisconnect?: (error: unknown) => void;
  readonly random: () => number;
}

/** A router that keeps watching until it is disposed. */
export function createRouter({ watch, onTable, onDisconnect, random }: RouterOptions): Router {
  let table: Snapshot | undefined;
  const waiters = new Set<() => void>();
  const closing = new AbortController();

  const follow = async (): Promise<void> => {
    for (let failures = 0; !closing.signal.aborted; failures += 1) {
      try {
        for await (const message of watch(closing.signal)) {
          failures = 0;
          table = snapshotOf(message);
          onTable?.(table.addresses);
          for (const wake of [...waiters]) wake();
        }
      } catch (error) {
        if (!closing.signal.aborted) onDisconnect?.(error);
      }
      const pause = Math.min(RECONNECT_MS_MAX, RECONNECT_MS_MIN * 2 ** failures) * (0.5 + random() / 2);
      // An aborted pause is the way out of the loop.
      await delay(pause, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  };
  const following = follow();

  const until: Router["until"] = async (condition, timeoutMs, signal) => {
    if (condition()) return true;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const check = (): void => {
      if (condition()) resolve(true);
    };
    const abort = (): void => reject(StatusError.from(signal.reason));
    const timer = setTimeout(() => resolve(condition()), timeoutMs);
    waiters.add(check);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      waiters.delete(check);
      signal.removeEventListener("abort", abort);
    }
  };

  const first = async (signal: AbortSignal): Promise<void> => {
    if (await until(() => table !== undefined, FIRST_TABLE_MS, signal)) return;
    throw new StatusError("SERVICE_UNAVAILABLE", "the gateway has not heard from the model registry yet: try again shortly, or see its log");
  };

  return {
    get ready() {
      return table !== undefined;
    },
    async find(project, reference, signal) {
      await first(signal);
      const candidates = (): readonly Route[] => table?.routes.get(`${project}/${reference.model}`) ?? [];
      const known = select(candidates(), reference);
      if (known !== undefined) return known;
      checkVersion(reference);
      await until(() => select(candidates(), reference) !== undefined, UNKNOWN_MODEL_GRACE_MS, signal);
      return select(candidates(), reference) ?? refuse(candidates(), reference);
    },
    peek: (project, reference) => select(table?.routes.get(`${project}/${reference.model}`) ?? [], reference),
    list: (project) => [...(table?.routes.values() ?? [])].flat().filter((route) => route.project === project),
    async replicas(signal) {
      await first(signal);
      // Right after a start the table may come before the first replica has reported.
      await until(() => (table?.replicas.length ?? 0) > 0, FIRST_REPLICA_MS, signal);
      const addresses = table?.replicas ?? [];
      if (addresses.length === 0) throw new StatusError("REPLICA_UNAVAILABLE", "no inference replica is connected: start the inference service, or try again shortly");
      return addresses;
    },
    until,
    [Symbol.asyncDispose]: async () => {
      closing.abort();
      await following;
    },
  };
}

interface Snapshot {
  /** By "project/model". */
  readonly routes: ReadonlyMap<string, readonly Route[]>;
  readonly replicas: readonly string[];
  readonly addresses: ReadonlySet<string>;
}

function snapshotOf(table: RoutingTable): Snapshot {
  const routes = new Map<string, Route[]>();
  for (const { deployment, version, defaultVersion, addresses, signature, aliases } of table.routes) {
    const [, project = "", , model = ""] = deployment.split("/");
    const key = `${project}/${model}`;
    const list = routes.get(key) ?? [];
    routes.set(key, list);
    list.push({ project, model, version: String(version), aliases, isDefault: defaultVersion, addresses, signature });
  }
  const replicas = table.replicas.map(({ address }) => address);
  return { routes, replicas, addresses: new Set([...replicas, ...table.routes.flatMap(({ addresses }) => addresses)]) };
}

/** The servable route that a reference means. Some clients write "-1" for the default version. */
function select(routes: readonly Route[], { version }: ModelReference): Route | undefined {
  const [only] = routes;
  if (routes.length === 1 && only !== undefined && only.addresses.length > 0 && (version === "" || version === "-1" || version === only.version)) return only;
  const served = routes.filter(({ addresses }) => addresses.length > 0);
  if (version !== "" && version !== "-1") return served.find((route) => route.version === version || route.aliases.includes(version));
  // While a new default is being loaded the newest version that serves goes on answering.
  return served.find(({ isDefault }) => isDefault) ?? served.toSorted((a, b) => Number(b.version) - Number(a.version))[0];
}

function checkVersion({ model, version }: ModelReference): void {
  if (version !== "" && !/^-?\d+$/.test(version)) {
    throw new StatusError("FIELD_INVALID", `failed to get model version from specified version string '${version}' (details: must be a whole number), model '${model}'`, { metadata: { field: "model_version" } });
  }
}

/** Says why there is no route, in the words that stock clients look for. */
function refuse(routes: readonly Route[], { model, version }: ModelReference): never {
  if (routes.length === 0) throw new StatusError("MODEL_NOT_FOUND", `Request for unknown model: '${model}' is not found`, { metadata: { model } });
  const named = version === "" || version === "-1" ? routes : routes.filter((route) => route.version === version);
  if (named.length === 0) {
    throw new StatusError("MODEL_VERSION_NOT_FOUND", `Request for unknown model: '${model}' version ${version} is not found`, { metadata: { model, version } });
  }
  throw new StatusError("MODEL_NOT_READY", `Request for unknown model: '${model}' has no available versions: it is being loaded, call again shortly`, { metadata: { model } });
}
