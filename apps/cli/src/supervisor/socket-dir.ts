import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** sun_path holds 108 bytes, the last a zero (unix(7)); macOS has 104. */
const SOCKET_PATH_BYTES_MAX = 103;
const NAME_BYTES_MAX = 24;

/** A short folder, closed to others, for the sockets between services. */
export function openSocketDir(): Disposable & { readonly address: (name: string) => string } {
  const fits = Buffer.byteLength(tmpdir()) + "/servable-XXXXXX/".length + NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX;
  const path = mkdtempSync(join(fits ? tmpdir() : "/tmp", "servable-"));
  return {
    address: (name) => `unix:${join(path, `${name}.sock`)}`,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
