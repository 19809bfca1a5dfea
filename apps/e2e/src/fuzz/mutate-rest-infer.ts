import { deflateSync, gzipSync } from "node:zlib";
import type { SeededRandom } from "@servable/testing";
import { mutateBytes } from "./mutate-bytes.ts";
import { PARAMETER_NAMES, RAW_JSON_TOKENS, STRANGE_DATATYPES, STRANGE_JSON } from "./strange-values.ts";

/** One REST call. */
export interface RestCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const KEYS = ["name", "shape", "datatype", "data", "parameters", "id", "inputs", "outputs", "binary_data_size", "__proto__", "constructor"];
const PATHS = ["", "/versions/1", "/versions/9", "/versions/x", "/versions/", "%00", "/../simple", "?a=1&a=2"];
const HEADER_LENGTHS = ["0", "-1", "1", "2147483648", "99999999999999999999", "x", "0x10", "1e1", "", " 5", "1.5"];

/** An infer call that is one to three steps away from a valid one, in JSON, binary part, headers or path. */
export function mutateRestInfer(model: string, valid: object, random: SeededRandom): RestCall {
  const json = structuredClone(valid) as Json;
  for (let steps = random.below(4); steps > 0; steps--) changeJson(json, random);
  let text = JSON.stringify(json);
  if (random.chance(4)) text = text.replace(/-?\d+|"[^"]*"/g, (token) => (random.chance(8) ? random.pick(RAW_JSON_TOKENS) : token));
  const jsonBytes = Buffer.from(text);
  const headers: Record<string, string> = {};
  let body: Uint8Array = jsonBytes;
  if (random.chance(2)) {
    body = Buffer.concat([jsonBytes, Uint8Array.from({ length: random.pick([0, 1, 63, 64, 128, 129, 4_096]) }, () => random.below(256))]);
    headers["inference-header-content-length"] = random.chance(3) ? random.pick(HEADER_LENGTHS) : String(jsonBytes.length);
  }
  if (random.chance(4)) body = mutateBytes(body, random);
  if (random.chance(6)) {
    const encoding = random.pick(["gzip", "deflate", "br", "identity", "gzip, gzip", "x".repeat(200)]);
    headers["content-encoding"] = encoding;
    // Sometimes the body is what the header says, sometimes it is not.
    if (random.chance(2)) body = encoding === "deflate" ? deflateSync(body) : gzipSync(body);
    if (random.chance(4)) body = body.subarray(0, random.below(body.length + 1));
  }
  if (random.chance(8)) headers["accept-encoding"] = random.pick(["gzip", "deflate", "br", "*", "gzip;q=0", ","]);
  if (random.chance(8)) headers["content-type"] = random.pick(["text/plain", "application/octet-stream", "multipart/form-data", "x", "application/json; charset=utf-16"]);
  return { path: `/v2/models/${model}${random.chance(8) ? random.pick(PATHS) : ""}/infer`, headers, body };
}

/** Changes one place, anywhere in the tree. */
function changeJson(json: Json, random: SeededRandom): void {
  let node = json;
  while (typeof node === "object" && node !== null) {
    const list = Array.isArray(node);
    const keys = Object.keys(node);
    const key = keys.length === 0 || random.chance(6) ? (Array.isArray(node) ? `${node.length}` : random.pick([...KEYS, ...PARAMETER_NAMES])) : random.pick(keys);
    const holder = node as Record<string, Json>;
    // An inherited value is everybody's: it must not be changed.
    const value = Object.hasOwn(holder, key) ? holder[key] : undefined;
    if (typeof value === "object" && value !== null && !random.chance(4)) {
      node = value;
      continue;
    }
    if (random.chance(4)) {
      if (list) (node as Json[]).splice(Number(key), 1);
      else Reflect.deleteProperty(holder, key);
    } else {
      Object.defineProperty(holder, key, { value: structuredClone(random.pick<unknown>([...STRANGE_JSON, ...STRANGE_DATATYPES.slice(0, -1)])), enumerable: true, configurable: true, writable: true });
    }
    return;
  }
}
