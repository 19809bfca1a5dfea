import { GraphError } from "@servable/onnx";

/** Names that a message lists as examples. */
const EXAMPLES = 8;

/** Whether a name fits a pattern: `*` stands for any characters, also dots and slashes, `?` for one. */
export function matches(pattern: string, name: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s").test(name);
}

/**
 * The names that fit any of the patterns. A pattern that fits none is a mistake.
 *
 * @throws GraphError naming the pattern and a few of the names
 */
export function chosen(names: readonly string[], patterns: readonly string[], what: string): Set<string> {
  const found = new Set<string>();
  for (const pattern of patterns) {
    const fitting = names.filter((name) => matches(pattern, name));
    if (fitting.length === 0 && pattern !== "*") throw new GraphError(`${what}: no weight has a name like "${pattern}"; there are ${names.length}, e.g. ${names.slice(0, EXAMPLES).join(", ")}`);
    for (const name of fitting) found.add(name);
  }
  return found;
}
