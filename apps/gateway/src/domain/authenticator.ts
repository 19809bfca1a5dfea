// Every call carries a key, and the database must not be asked at each. Keys that were found are remembered for a short
// time: a key revoked through this gateway stops at once, one revoked through another gateway within FRESH_MS. While the
// database cannot be reached, known keys go on working for STALE_MS: inference survives an outage of the database.

import { hashApiKey, type Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { LRUCache } from "lru-cache";
import type { ApiKey, ApiKeyStore } from "../store/api-key-store.ts";

const FRESH_MS = 10_000;
const STALE_MS = 10 * 60_000;
const KEYS_MAX = 10_000;
const MINUTE_MS = 60_000;

/** Knows who calls by the secret they send. */
export interface Authenticator {
  /** @throws StatusError `API_KEY_MISSING`, `API_KEY_INVALID` (unknown, revoked or expired) */
  authenticate(secret: string | undefined): Identity | Promise<Identity>;
  /** Forgets a key that was revoked. */
  forget(hash: string): void;
  /** Waits until last uses are written. */
  settle(): Promise<void>;
}

/** An authenticator over the stored keys. */
export function createAuthenticator(keys: ApiKeyStore, now: () => number): Authenticator {
  const known = new LRUCache<string, Known>({ max: KEYS_MAX });
  const usedMinute = new LRUCache<string, number>({ max: KEYS_MAX });
  const writes = new Set<Promise<void>>();
  let revocations = 0;

  const find = async (hash: string, entry: Known | undefined): Promise<ApiKey | undefined> => {
    const before = revocations;
    try {
      const key = await keys.findByHash(hash);
      if (key === undefined) known.delete(hash);
      // A key that was revoked while we looked must not come back.
      else if (revocations === before) known.set(hash, { key, identity: identityOf(key), checkedMs: now() });
      return key;
    } catch (error) {
      if (entry !== undefined && revocations === before && now() - entry.checkedMs < STALE_MS) return entry.key;
      throw error;
    }
  };

  const admit = (key: ApiKey | undefined, identity?: Identity): Identity => {
    if (key === undefined || (key.expireTimeMs !== undefined && key.expireTimeMs <= now())) {
      throw new StatusError("API_KEY_INVALID", "the API key is unknown, revoked or expired: create another with `servable keys create`");
    }
    touch(key);
    return identity ?? identityOf(key);
  };

  const touch = (key: ApiKey): void => {
    const minute = Math.floor(now() / MINUTE_MS);
    if (usedMinute.get(key.hash) === minute) return;
    usedMinute.set(key.hash, minute);
    // When a key was last used is a hint for people; a failed write is made up for by the next minute's.
    const write = keys.touch(key.projectId, key.id, minute * MINUTE_MS).catch(() => {});
    writes.add(write);
    void write.finally(() => writes.delete(write));
  };

  return {
    authenticate(secret) {
      if (secret === undefined || secret === "") throw new StatusError("API_KEY_MISSING", "the call has no API key: send `authorization: Bearer <key>` or `x-api-key: <key>`");
      const hash = hashApiKey(secret);
      const entry = known.get(hash);
      if (entry !== undefined && now() - entry.checkedMs < FRESH_MS) return admit(entry.key, entry.identity);
      return find(hash, entry).then((key) => admit(key));
    },
    forget(hash) {
      revocations += 1;
      known.delete(hash);
    },
    async settle() {
      await Promise.all(writes);
    },
  };
}

interface Known {
  readonly key: ApiKey;
  readonly identity: Identity;
  readonly checkedMs: number;
}

function identityOf({ projectId, id, role }: ApiKey): Identity {
  return { project: projectId, principal: `projects/${projectId}/apiKeys/${id}`, role };
}

/** The secret in a call's headers: `authorization: Bearer …`, or `x-api-key`. */
export function secretOf(header: (name: string) => string | undefined): string | undefined {
  const authorization = header("authorization");
  const bearer = authorization === undefined ? undefined : /^bearer\s+(.+)$/i.exec(authorization)?.[1];
  return bearer?.trim() ?? header("x-api-key");
}
