// Which replicas serve which models. Every model ranks every replica by a hash of both and takes the first ones (rendezvous
// hashing): nothing has to be remembered, and a replica that goes moves only what it held. Hashing alone is blind, though:
// it fills one replica above its memory while the next has room. So a replica has a bound, a quarter above its fair share,
// and a model passes over the full ones (consistent hashing with bounded loads). The alternative, a solver that packs
// optimally, moves half of the models whenever one comes; moving is what callers feel.
//
// I1  The answer depends on the arguments alone: every registry, and the same one after a restart, places alike.
// I2  Copies of a model are on different replicas.
// I3  What is pinned is placed first and within the budget wherever it fits at all.
// I4  Bounds move in steps, not with every model: one deployment more or less moves next to nothing.
//
// Sources: Thaler & Ravishankar, Using name-based mappings to increase hit rates (1998); Mirrokni, Thorup & Zadimoghaddam,
// Consistent Hashing with Bounded Loads (2016); weights as in Schindelhauer & Schomaker, Weighted distributed hash tables (2005).

/** A model that is to be placed. */
export interface PlacedModel {
  readonly name: string;
  /** On how many replicas it is wanted. */
  readonly replicaCount: number;
  /** What one copy takes; 0 = not known. @default 0 */
  readonly bytes?: number;
  /** Never leaves memory, so its bytes count against the budget and cannot be overcommitted. @default false */
  readonly pinned?: boolean;
  /** How much traffic it has, in any unit that all models share. @default 1 */
  readonly load?: number;
}

/** A replica that takes models. */
export interface PlacementReplica {
  readonly id: string;
  /** 0 = not limited. @default 0 */
  readonly budgetBytes?: number;
}

/** How far above its fair share a replica may go before models pass it over. */
const SHARE_MAX = 1.25;
/** Bounds grow by this factor at a time. */
const STEP = 1.1;

interface Bin {
  readonly id: string;
  readonly hash: number;
  /** Its part of everything. */
  readonly share: number;
  readonly budgetBytes: number;
  bytesMax: number;
  loadMax: number;
  bytes: number;
  load: number;
}

/** Replica ids by model, best first; fewer than wanted when there are fewer replicas. */
export function placeModels(models: readonly PlacedModel[], replicas: readonly PlacementReplica[]): Map<string, string[]> {
  const bins = binsOf(models, replicas);
  const placed = new Map<string, string[]>();
  for (const model of models.toSorted(order)) {
    const { name, replicaCount, bytes = 0, pinned = false, load = 1 } = model;
    const seed = hash32(name);
    const ranked = bins.map((bin) => ({ bin, score: scoreOf(seed, bin) })).sort((a, b) => b.score - a.score || (a.bin.id < b.bin.id ? -1 : 1));
    const count = Math.min(replicaCount, ranked.length);
    const copyLoad = load / Math.max(1, count);
    const fits = ({ bin }: { bin: Bin }): boolean => bin.bytes + bytes <= (pinned ? bin.budgetBytes : bin.bytesMax) && bin.load + copyLoad <= bin.loadMax;
    const chosen = ranked.filter(fits).slice(0, count);
    // I3: memory is a hard limit, an even load a wish.
    if (pinned) take(chosen, count, ranked.filter(({ bin }) => bin.bytes + bytes <= bin.budgetBytes));
    take(chosen, count, ranked.toSorted((a, b) => fillOf(a.bin, bytes, copyLoad) - fillOf(b.bin, bytes, copyLoad)));
    for (const { bin } of chosen) {
      bin.bytes += bytes;
      bin.load += copyLoad;
    }
    placed.set(name, chosen.map(({ bin }) => bin.id));
  }
  return placed;
}

/** How many copies are in `after` and were not in `before`: each is a load. */
export function movedCopies(before: ReadonlyMap<string, readonly string[]>, after: ReadonlyMap<string, readonly string[]>): number {
  return [...after].reduce((total, [name, ids]) => total + ids.filter((id) => before.get(name)?.includes(id) !== true).length, 0);
}

function take<T>(chosen: T[], count: number, more: readonly T[]): void {
  for (const each of more) {
    if (chosen.length >= count) return;
    if (!chosen.includes(each)) chosen.push(each); // I2
  }
}

function binsOf(models: readonly PlacedModel[], replicas: readonly PlacementReplica[]): Bin[] {
  const limited = replicas.filter(({ budgetBytes = 0 }) => budgetBytes > 0);
  const budgets = limited.reduce((total, { budgetBytes = 0 }) => total + budgetBytes, 0);
  // A replica without a limit counts as an average one.
  const weightOf = ({ budgetBytes = 0 }: PlacementReplica): number => (budgetBytes > 0 ? budgetBytes : limited.length === 0 ? 1 : budgets / limited.length);
  const weights = replicas.reduce((total, replica) => total + weightOf(replica), 0);
  const copies = (model: PlacedModel): number => Math.min(model.replicaCount, replicas.length);
  const bytes = stepAbove(models.reduce((total, model) => total + (model.bytes ?? 0) * copies(model), 0));
  const load = stepAbove(models.reduce((total, model) => total + (copies(model) === 0 ? 0 : (model.load ?? 1)), 0));
  const loadLargest = stepAbove(models.reduce((most, model) => Math.max(most, (model.load ?? 1) / Math.max(1, copies(model))), 0));
  return replicas.map((replica) => {
    const share = weightOf(replica) / weights;
    const budgetBytes = replica.budgetBytes === undefined || replica.budgetBytes === 0 ? Infinity : replica.budgetBytes;
    return {
      id: replica.id,
      hash: hash32(replica.id),
      share,
      budgetBytes,
      // What fits stays within the budget; what does not is overcommitted evenly: the rest loads on demand.
      bytesMax: bytes * share <= budgetBytes ? budgetBytes : SHARE_MAX * bytes * share,
      // The heaviest copy must find a place even where a share is smaller than it.
      loadMax: Math.max(SHARE_MAX * load * share, loadLargest),
      bytes: 0,
      load: 0,
    };
  });
}

/** I4 */
function stepAbove(value: number): number {
  return value <= 0 ? 0 : STEP ** Math.ceil(Math.log(value) / Math.log(STEP));
}

/** Pinned ones first, then big before small, as one packs; names make it total (I1). */
function order(a: PlacedModel, b: PlacedModel): number {
  const pinned = Number(b.pinned ?? false) - Number(a.pinned ?? false);
  return pinned || stepAbove(b.bytes ?? 0) - stepAbove(a.bytes ?? 0) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

/** How full a bin would be, the fuller of its two measures. */
function fillOf(bin: Bin, bytes: number, load: number): number {
  const memory = bin.budgetBytes === Infinity ? 0 : (bin.bytes + bytes) / bin.budgetBytes;
  return Math.max(memory, bin.loadMax === 0 ? 0 : (bin.load + load) / bin.loadMax);
}

/** Weighted rendezvous: −weight / ln(u), u the pair's hash in (0, 1). */
function scoreOf(seed: number, { hash, share }: Bin): number {
  let mixed = Math.imul(seed ^ hash, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16) ^ seed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  const unit = (((mixed ^ (mixed >>> 16)) >>> 0) + 0.5) / 2 ** 32;
  return -share / Math.log(unit);
}

/** FNV-1a with murmur3's final mix, 32 bits. */
function hash32(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
