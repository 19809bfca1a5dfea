// Power of two choices: of two replicas drawn at random the one with fewer calls outstanding gets the next. It is nearly
// as even as asking all of them, and unlike "least loaded" it does not send every gateway to the same idle replica.
// Source: Mitzenmacher, The Power of Two Choices in Randomized Load Balancing (2001).

/** How long a replica that did not answer is passed over while others can take the call. */
const PENALTY_MS = 1_000;
/** Keys whose replica is remembered; the one that was used least recently is forgotten first. */
const KEYS_MAX = 100_000;

/** Chooses replicas by outstanding calls. */
export interface LoadBalancer {
  /** One of the addresses other than `except`; undefined when there is none. */
  choose(addresses: readonly string[], except?: string): string | undefined;
  /**
   * The same address for the same key for as long as that address is one of them, whichever others come and go: for sequences,
   * whose state lives in one replica. A new key goes where every gateway would send it.
   */
  chooseByKey(addresses: readonly string[], key: string): string | undefined;
  /** Counts a call until the returned function is called. */
  begin(address: string): () => void;
  /** Notes that a replica did not answer. */
  penalize(address: string): void;
  outstanding(address: string): number;
}

/** A balancer; `random` draws from [0, 1). */
export function createLoadBalancer(random: () => number, now: () => number): LoadBalancer {
  const outstanding = new Map<string, number>();
  const penalizedUntil = new Map<string, number>();
  /** Replicas of keys, least recently used first. */
  const addressOf = new Map<string, string>();
  const count = (address: string): number => outstanding.get(address) ?? 0;
  const healthy = (address: string): boolean => {
    const until = penalizedUntil.get(address);
    if (until === undefined) return true;
    if (until > now()) return false;
    penalizedUntil.delete(address);
    return true;
  };
  /** Rendezvous hashing: gateways agree without speaking, and when a replica goes only its own keys move. */
  const rendezvous = (addresses: readonly string[], key: string): string | undefined => {
    const able = addresses.filter(healthy);
    let best: { address: string; weight: number } | undefined;
    for (const address of able.length > 0 ? able : addresses) {
      const weight = hash(`${key}\0${address}`);
      if (best === undefined || weight > best.weight) best = { address, weight };
    }
    return best?.address;
  };
  return {
    choose(addresses, except) {
      // With one replica there is nothing to weigh.
      if (addresses.length === 1) return addresses[0] === except ? undefined : addresses[0];
      const others = addresses.filter((address) => address !== except);
      const able = others.filter(healthy);
      const pool = able.length > 0 ? able : others;
      if (pool.length < 2) return pool[0];
      const first = Math.floor(random() * pool.length);
      const second = (first + 1 + Math.floor(random() * (pool.length - 1))) % pool.length;
      const [a = "", b = ""] = [pool[first], pool[second]];
      return count(b) < count(a) ? b : a;
    },
    chooseByKey(addresses, key) {
      const known = addressOf.get(key);
      // A replica that did not answer once may still hold the sequence, and no other one does.
      const address = known !== undefined && addresses.includes(known) ? known : rendezvous(addresses, key);
      addressOf.delete(key);
      if (address === undefined) return undefined;
      addressOf.set(key, address);
      const [oldest] = addressOf.keys();
      if (addressOf.size > KEYS_MAX && oldest !== undefined) addressOf.delete(oldest);
      return address;
    },
    begin(address) {
      outstanding.set(address, count(address) + 1);
      let open = true;
      return () => {
        if (!open) return;
        open = false;
        const left = count(address) - 1;
        if (left === 0) outstanding.delete(address);
        else outstanding.set(address, left);
      };
    },
    penalize(address) {
      penalizedUntil.set(address, now() + PENALTY_MS);
    },
    outstanding: count,
  };
}

/** FNV-1a, 32 bits, with a final mix so that similar addresses spread. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  return (value ^ (value >>> 16)) >>> 0;
}
