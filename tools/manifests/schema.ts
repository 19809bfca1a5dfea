// Kubernetes' own schemas, compiled to functions by kubernetes-models. They let unknown fields pass, as the API server once
// did, and a misspelt "readinesProbe" is the commonest fault of all. A validator reads every field that it knows, so the
// object is handed over behind a proxy that takes notes: what was never read is unknown.
import type { Manifest } from "./document.ts";

/** A compiled JSON schema, as ajv makes them. */
interface Validate {
  (data: unknown): boolean;
  readonly errors?:
    readonly { readonly instancePath: string; readonly keyword: string; readonly params: unknown }[] | null;
}

/** What is wrong with a document by its schema: wrong types, missing fields, unknown fields. */
export async function schemaFindings(manifest: Manifest): Promise<string[]> {
  const validate = await validatorOf(manifest);
  if (validate === undefined)
    return [`there is no schema of ${manifest.apiVersion} ${manifest.kind}: add one, or leave the object out`];

  const unread = new Set<string>();
  if (!validate(watched(manifest, "", unread)))
    return (validate.errors ?? []).map(
      ({ instancePath, keyword, params }) => `${instancePath} breaks the rule ${keyword} ${JSON.stringify(params)}`,
    );
  return [...unread].map((field) => `${field} is no field that Kubernetes knows`);
}

/** "networking.k8s.io/v1" and "NetworkPolicy" are found as IoK8sApiNetworkingV1NetworkPolicy. */
async function validatorOf({ apiVersion, kind }: Manifest): Promise<Validate | undefined> {
  const [version = "", group = "core"] = apiVersion.split("/").reverse();
  const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
  try {
    const { validate } = (await import(
      `kubernetes-models/_schemas/IoK8sApi${capital(group.split(".")[0] ?? "")}${capital(version)}${kind}`
    )) as { validate: Validate };
    return validate;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** The object, noting in `unread` each field below `path` until somebody reads it. */
function watched<T extends object>(target: T, path: string, unread: Set<string>): T {
  if (!Array.isArray(target)) for (const key of Object.keys(target)) unread.add(`${path}/${key}`);
  const inner = new Map<string, object>();
  return new Proxy(target, {
    get(object, key, receiver) {
      const value: unknown = Reflect.get(object, key, receiver);
      if (typeof key === "symbol") return value;
      unread.delete(`${path}/${key}`);
      // Methods and `length` of a list are no fields.
      if (typeof value !== "object" || value === null) return value;
      const seen = inner.get(key) ?? watched(value, `${path}/${key}`, unread);
      inner.set(key, seen);
      return seen;
    },
  });
}
