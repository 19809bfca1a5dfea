import { hash, randomBytes } from "node:crypto";

// A key is 32 random bytes: too many to guess, so a plain SHA-256 keeps it safe at rest and checks it in microseconds
// (a slow password hash would only slow every call down). The checksum finds typing errors before any look-up and lets
// secret scanners recognise a leaked key.

/** Begin of every key. */
export const API_KEY_PREFIX = "sv_";

const PREFIX_LENGTH = 10;

/** A new secret: "sv_", 43 characters of base64url, 6 of checksum. */
export function generateApiKey(): string {
  const body = randomBytes(32).toString("base64url");
  return `${API_KEY_PREFIX}${body}${checksum(body)}`;
}

/** The hash that is stored, 64 hexadecimal digits. */
export function hashApiKey(secret: string): string {
  return hash("sha256", secret, "hex");
}

/** The part that people may see, e.g. "sv_4fJq9a2". */
export function visiblePrefix(secret: string): string {
  return secret.slice(0, PREFIX_LENGTH);
}

/** Whether a text can be a key made by {@link generateApiKey}. Keys that operators choose need not pass. */
export function isWellFormedApiKey(secret: string): boolean {
  if (!secret.startsWith(API_KEY_PREFIX)) return false;
  const rest = secret.slice(API_KEY_PREFIX.length);
  return rest.length === 49 && checksum(rest.slice(0, 43)) === rest.slice(43);
}

function checksum(body: string): string {
  return hash("sha256", body, "base64url").slice(0, 6);
}
