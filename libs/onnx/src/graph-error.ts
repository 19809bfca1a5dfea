import { fileURLToPath } from "node:url";

/** Where this package's own sources lie: a mistake is made by whoever calls them. */
const OWN = import.meta.url.slice(0, import.meta.url.lastIndexOf("/") + 1);

/** Raised while a graph is built: operands that do not fit, an operator that is not known. */
export class GraphError extends Error {
  override readonly name = "GraphError";

  /** The line outside this library that asked for the node, "file:line:column"; undefined where the stack does not say. */
  get site(): string | undefined {
    for (const line of (this.stack ?? "").split("\n")) {
      const [, at] = /^\s+at (?:.*\()?((?:file:\/\/|\/).*?:\d+:\d+)\)?$/.exec(line) ?? [];
      if (at === undefined || at.startsWith(OWN) || at.startsWith(OWN_PATH)) continue;
      return at.replace(/^file:\/\//, "");
    }
    return undefined;
  }
}

const OWN_PATH = fileURLToPath(OWN);
