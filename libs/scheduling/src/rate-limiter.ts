// Models on one machine compete for things that no queue of a single model can see: memory bandwidth, an accelerator, a
// licence. Triton's answer is a rate limiter: an instance names the resources that one run takes, and runs only while it
// holds them. We keep its configuration and its words, and differ in two points. It counts executions since the start, so
// a model that was loaded a moment ago would run alone until it has caught up; we use stride scheduling, where who comes
// late starts at the present. And its first waiting instance blocks everybody; ours blocks only those who need what it
// waits for.
//
// I1  Of no resource more is held than there is.
// I2  A run that waits is passed only by runs that take nothing of what it lacks: nobody starves.
// I3  Among waiting runs that compete, the one with the lowest pass is next; equal ones go in the order of arrival.
//
// Sources: Triton 2.51 docs/user_guide/rate_limiter.md and src/rate_limiter.cc; Waldspurger & Weihl, Stride Scheduling
// (MIT/LCS/TM-528, 1995).

import { StatusError } from "@servable/errors";

/** How much of a resource one run takes. */
export interface ResourceNeed {
  readonly name: string;
  readonly count: number;
  /** One pool for the whole server instead of one for each device. @default false */
  readonly global?: boolean;
}

/** One instance of a model, as it asks for runs. */
export interface RateLimitedInstance {
  /** For messages. */
  readonly model: string;
  /** What one run takes; nothing = it never waits. */
  readonly resources: readonly ResourceNeed[];
  /** 2 gets half as many runs as 1, and so on; 0 counts as 1. @default 1 */
  readonly priority?: number;
  /** Which device it runs on; pools that are not global belong to a device. @default 0 */
  readonly device?: number;
}

/** How much there is of a resource. */
export interface ResourceLimit {
  readonly name: string;
  readonly count: number;
  /** Without one: on every device, and for the global pool. */
  readonly device?: number | undefined;
}

/** Gives the resources of a run back; a second call does nothing. */
export type Release = () => void;

/** An instance's ticket office; disposing takes the instance out (runs in flight still hold what they hold). */
export interface RateLimit extends Disposable {
  /** Resolves when the run may begin. @throws StatusError `QUEUE_FULL`; the signal's reason */
  acquire(signal?: AbortSignal): Promise<Release>;
}

/** Runs of all models that name resources. */
export interface RateLimiter {
  /**
   * Makes an instance known.
   *
   * @throws StatusError `MODEL_LOAD_FAILED` when it needs more than the limits allow, or one name is global here and not there
   */
  register(instance: RateLimitedInstance): RateLimit;
  /** Runs that wait. */
  readonly waitingCount: number;
  /** Resources with what is held of them, by name and device. */
  usage(): ResourceUsage[];
}

/** One pool. */
export interface ResourceUsage {
  readonly name: string;
  /** Undefined = the global pool. */
  readonly device: number | undefined;
  readonly capacity: number;
  readonly held: number;
}

/** Runs that may wait over all models. */
const WAITING_MAX = 65_536;

interface Registered {
  readonly model: string;
  readonly stride: number;
  readonly needs: readonly { readonly key: string; readonly name: string; readonly count: number; readonly device: number | undefined }[];
  /** Where the instance stands in virtual time: the lowest is served next. */
  pass: number;
  /** Its runs that wait or hold something. */
  active: number;
  /** Those that wait, first come first. */
  readonly waiting: Waiting[];
}

interface Waiting {
  readonly arrival: number;
  readonly grant: () => void;
}

/** A limiter over the given limits; a resource without one has as much as its greediest instance takes. */
export function createRateLimiter(limits: readonly ResourceLimit[] = []): RateLimiter {
  const instances = new Set<Registered>();
  const held = new Map<string, number>();
  const waiting = new Set<Registered>();
  let waitingCount = 0;
  let arrivals = 0;
  /** The pass of the last granted run: whoever comes back after a pause starts here. */
  let now = 0;

  const limitOf = (name: string, device: number | undefined): number | undefined =>
    limits.find((limit) => limit.name === name && limit.device === device)?.count ?? limits.find((limit) => limit.name === name && limit.device === undefined)?.count;
  const greediest = (key: string): number => Math.max(0, ...[...instances].flatMap(({ needs }) => needs.filter((need) => need.key === key).map(({ count }) => count)));
  const capacityOf = ({ key, name, device, count }: Registered["needs"][number]): number => limitOf(name, device) ?? Math.max(count, greediest(key));
  const heldOf = (key: string): number => held.get(key) ?? 0;
  const change = ({ needs }: Registered, sign: 1 | -1): void => {
    for (const { key, count } of needs) {
      const left = heldOf(key) + sign * count;
      if (left === 0) held.delete(key);
      else held.set(key, left);
    }
  };

  const start = (instance: Registered): Release => {
    change(instance, 1);
    now = Math.max(now, instance.pass);
    instance.pass += instance.stride;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      instance.active--;
      change(instance, -1);
      grantWaiting();
    };
  };

  const leave = (instance: Registered, entry: Waiting): void => {
    instance.waiting.splice(instance.waiting.indexOf(entry), 1);
    waitingCount--;
    if (instance.waiting.length === 0) waiting.delete(instance);
  };

  /** Grants whatever fits, in order; what does not fit keeps its resources from those behind it (I2). */
  const grantWaiting = (): void => {
    const blocked = new Set<string>();
    const left = new Set(waiting);
    // A grant moves the pass of its instance, so the order is made anew after each one.
    for (let next = firstOf(left); next !== undefined; next = firstOf(left)) {
      const { needs, waiting: queue } = next;
      const lacking = needs.some((need) => blocked.has(need.key) || heldOf(need.key) + need.count > capacityOf(need)); // I1
      const [entry] = queue;
      if (!lacking && entry !== undefined) {
        leave(next, entry);
        entry.grant();
      } else for (const { key } of needs) blocked.add(key);
      if (lacking || queue.length === 0) left.delete(next);
    }
  };

  return {
    register({ model, resources, priority = 1, device = 0 }) {
      const needs = mergeNeeds(resources, device);
      for (const need of needs) {
        const other = [...instances].find((each) => each.needs.some(({ name, device: of }) => name === need.name && (of === undefined) !== (need.device === undefined)));
        if (other !== undefined) throw new StatusError("MODEL_LOAD_FAILED", `resource "${need.name}" is global in one model and of a device in another (${model}, ${other.model}): make them the same`, { metadata: { field: "instance_group.rate_limiter.resources" } });
        const limit = limitOf(need.name, need.device);
        if (limit !== undefined && limit < need.count) {
          throw new StatusError("MODEL_LOAD_FAILED", `resource "${need.name}" is limited to ${limit}, a run of ${model} takes ${need.count}: it could never run`, { metadata: { field: "instance_group.rate_limiter.resources" } });
        }
      }
      const instance: Registered = { model, stride: Math.max(1, priority), needs, pass: now, active: 0, waiting: [] };
      instances.add(instance);
      return {
        acquire(signal) {
          if (signal?.aborted === true) return Promise.reject(StatusError.from(signal.reason));
          if (needs.length === 0) return Promise.resolve(nothingHeld);
          if (waitingCount >= WAITING_MAX) return Promise.reject(new StatusError("QUEUE_FULL", `${WAITING_MAX} runs wait for resources of the rate limiter`, { code: "UNAVAILABLE" }));
          // An instance that was idle has saved up nothing.
          if (instance.active++ === 0) instance.pass = Math.max(instance.pass, now);
          return new Promise((resolve, reject) => {
            const entry: Waiting = {
              arrival: arrivals++,
              grant: () => {
                signal?.removeEventListener("abort", abort);
                resolve(start(instance));
              },
            };
            const abort = (): void => {
              leave(instance, entry);
              instance.active--;
              reject(StatusError.from(signal?.reason));
              grantWaiting();
            };
            signal?.addEventListener("abort", abort, { once: true });
            instance.waiting.push(entry);
            waiting.add(instance);
            waitingCount++;
            grantWaiting();
          });
        },
        [Symbol.dispose]() {
          instances.delete(instance);
          grantWaiting();
        },
      };
    },
    get waitingCount() {
      return waitingCount;
    },
    usage() {
      const pools = new Map([...instances].flatMap(({ needs }) => needs.map((need) => [need.key, need] as const)));
      return [...pools.values()].map((need) => ({ name: need.name, device: need.device, capacity: capacityOf(need), held: heldOf(need.key) }));
    },
  };
}

function nothingHeld(): void {}

/** I3 */
function firstOf(instances: ReadonlySet<Registered>): Registered | undefined {
  let best: Registered | undefined;
  const arrivalOf = ({ waiting }: Registered): number => waiting[0]?.arrival ?? 0;
  for (const each of instances) {
    if (best === undefined || each.pass < best.pass || (each.pass === best.pass && arrivalOf(each) < arrivalOf(best))) best = each;
  }
  return best;
}

/** Needs by pool; a name that is listed twice is taken twice. */
function mergeNeeds(resources: readonly ResourceNeed[], device: number): Registered["needs"] {
  const byKey = new Map<string, Registered["needs"][number]>();
  for (const { name, count, global = false } of resources) {
    if (count <= 0) continue;
    const of = global ? undefined : device;
    const key = of === undefined ? name : `${name}@${of}`;
    byKey.set(key, { key, name, device: of, count: count + (byKey.get(key)?.count ?? 0) });
  }
  return [...byKey.values()];
}
