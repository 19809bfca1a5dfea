import { StatusError } from "@servable/errors";
import { parse } from "yaml";
import { GRAPH_PARAMETER } from "../../config/pipeline-config.ts";
import type { GraphNode, SplitterNode, TaskStepKind } from "./graph-node.ts";
import { childOf, listOf, numberOf, objectOf, refuseGraph, textOf } from "./graph-value.ts";
import { parseCondition } from "./parse-condition.ts";

/** Nodes deep. */
const DEPTH_MAX = 32;
/** Nodes in all, each use of a named node counted. */
const NODES_MAX = 512;
const TEXT_BYTES_MAX = 256 * 1024;

const TASK_STEPS = ["decode_image", "tokenize", "top_labels"] as const;
const KINDS = ["model", "sequence", "ensemble", "switch", "splitter", "node", ...TASK_STEPS] as const;
const TOP_K_MAX = 1_000;

/**
 * Reads a graph: an object with `root`, a node, and `nodes`, nodes by name that others refer to by `{"node": name}`.
 *
 * @throws StatusError `FIELD_INVALID`; the message says where, e.g. "root.sequence[1].switch.cases[0].when"
 */
export function parseGraph(text: string): GraphNode {
  if (text.length > TEXT_BYTES_MAX) throw refuseGraph("", `is longer than ${TEXT_BYTES_MAX} characters`);
  let value: unknown;
  try {
    // YAML holds JSON. Aliases could make a small text a huge graph.
    value = parse(text, { maxAliasCount: 0 });
  } catch (error) {
    throw refuseGraph("", `is neither JSON nor YAML: ${(error as Error).message}`, error);
  }
  const { root, nodes = {} } = objectOf(value, "", ["root", "nodes"]);
  if (root === undefined) throw refuseGraph("", "has no root");
  const named = objectOf(nodes, "nodes");
  const used = new Set<string>();
  const node = new GraphReader(named, used).read(root, "root", []);
  const unused = Object.keys(named).find((name) => !used.has(name));
  if (unused !== undefined) throw refuseGraph(`nodes.${unused}`, "is used by no node");
  return node;
}

class GraphReader {
  readonly #named: Readonly<Record<string, unknown>>;
  readonly #used: Set<string>;
  #count = 0;

  constructor(named: Readonly<Record<string, unknown>>, used: Set<string>) {
    this.#named = named;
    this.#used = used;
  }

  /** @param path names of the nodes that led here: one that comes twice goes round in a circle */
  read(value: unknown, at: string, path: readonly string[], depth = 0): GraphNode {
    if (depth > DEPTH_MAX) throw refuseGraph(at, `is more than ${DEPTH_MAX} nodes deep`);
    if (++this.#count > NODES_MAX) throw refuseGraph("", `has more than ${NODES_MAX} nodes`);
    const object = objectOf(value, at);
    const kinds = KINDS.filter((kind) => kind in object);
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) throw refuseGraph(at, `must have exactly one of ${KINDS.join(", ")}`);
    const inside = childOf(at, kind);
    const child = (each: unknown, where: string): GraphNode => this.read(each, where, path, depth + 1);
    const children = (each: unknown): GraphNode[] => listOf(each, inside).map((item, index) => child(item, `${inside}[${index}]`));
    switch (kind) {
      case "model":
        return modelNode(object, at);
      case "sequence":
        return { kind, at, nodes: children(objectOf(object, at, ["sequence"])["sequence"]) };
      case "ensemble":
        return { kind, at, nodes: children(objectOf(object, at, ["ensemble"])["ensemble"]) };
      case "switch": {
        const { cases, otherwise } = objectOf(objectOf(object, at, ["switch"])["switch"], inside, ["cases", "otherwise"]);
        return {
          kind,
          at,
          cases: listOf(cases, `${inside}.cases`).map((each, index) => {
            const where = `${inside}.cases[${index}]`;
            const { when, then } = objectOf(each, where, ["when", "then"]);
            return { when: parseCondition(when, `${where}.when`), then: child(then, `${where}.then`) };
          }),
          otherwise: otherwise === undefined ? undefined : child(otherwise, `${inside}.otherwise`),
        };
      }
      case "decode_image":
      case "tokenize":
      case "top_labels":
        return taskNode(kind, objectOf(object, at, [kind])[kind], at);
      case "splitter":
        return splitterNode(objectOf(object, at, ["splitter"])["splitter"], at, child);
      case "node": {
        const name = textOf(objectOf(object, at, ["node"])["node"], inside);
        if (!(name in this.#named)) throw refuseGraph(inside, `there is no node "${name}" among nodes`);
        if (path.includes(name)) throw refuseGraph(inside, `goes round in a circle: ${[...path, name].join(" → ")}`);
        this.#used.add(name);
        return this.read(this.#named[name], `nodes.${name}`, [...path, name], depth + 1);
      }
      default: {
        const never: never = kind;
        return never;
      }
    }
  }
}

function modelNode(object: unknown, at: string): GraphNode {
  const { model, version, inputs, outputs } = objectOf(object, at, ["model", "version", "inputs", "outputs"]);
  return { kind: "model", at, model: textOf(model, `${at}.model`), version: versionOf(version, `${at}.version`), inputs: names(inputs, `${at}.inputs`) ?? new Map<string, string>(), outputs: names(outputs, `${at}.outputs`) };
}

function versionOf(value: unknown, at: string): string {
  const number = value === undefined ? -1 : numberOf(value, at);
  if (!Number.isInteger(number) || number < -1 || number === 0) throw refuseGraph(at, "must be a version number, or -1 for the newest");
  return number === -1 ? "" : String(number);
}

function taskNode(step: TaskStepKind, value: unknown, at: string): GraphNode {
  const inside = childOf(at, step);
  const { model, version, from, to, top_k: topK = 0 } = objectOf(value, inside, ["model", "version", "from", "to", ...(step === "top_labels" ? ["top_k"] : [])]);
  const count = numberOf(topK, `${inside}.top_k`);
  if (!Number.isInteger(count) || count < 0 || count > TOP_K_MAX) throw refuseGraph(`${inside}.top_k`, `must be 1 to ${TOP_K_MAX}, or 0 for as many as the model's servable.yaml says`);
  return { kind: "task", at, step, model: textOf(model, `${inside}.model`), version: versionOf(version, `${inside}.version`), from: textOf(from, `${inside}.from`), to: names(to, `${inside}.to`), topK: count };
}

function names(value: unknown, at: string): ReadonlyMap<string, string> | undefined {
  if (value === undefined) return undefined;
  return new Map(Object.entries(objectOf(value, at)).map(([name, tensor]) => [name, textOf(tensor, `${at}.${name}`)]));
}

function splitterNode(value: unknown, at: string, child: (value: unknown, at: string) => GraphNode): SplitterNode {
  const inside = childOf(at, "splitter");
  const { branches, by, seed } = objectOf(value, inside, ["branches", "by", "seed"]);
  const read = listOf(branches, `${inside}.branches`).map((each, index) => {
    const where = `${inside}.branches[${index}]`;
    const { weight, then } = objectOf(each, where, ["weight", "then"]);
    const share = numberOf(weight, `${where}.weight`);
    if (!(share >= 0 && Number.isFinite(share))) throw refuseGraph(`${where}.weight`, "must be 0 or more");
    return { weight: share, then: child(then, `${where}.then`) };
  });
  if (read.every(({ weight }) => weight === 0)) throw refuseGraph(`${inside}.branches`, "have no weight above 0");
  return { kind: "splitter", at, branches: read, by: stickiness(by, `${inside}.by`), seed: seed === undefined ? 0 : numberOf(seed, `${inside}.seed`) };
}

function stickiness(value: unknown, at: string): SplitterNode["by"] {
  if (value === undefined || value === "request_id" || value === "sequence_id") return value;
  if (typeof value === "string") throw refuseGraph(at, 'must be "request_id", "sequence_id" or {"parameter": name}');
  return { parameter: textOf(objectOf(value, at, ["parameter"])["parameter"], `${at}.parameter`) };
}

/** The graph of a configuration. @throws StatusError `FIELD_INVALID` */
export function graphOf({ name, parameters }: { readonly name: string; readonly parameters: Readonly<Record<string, { readonly stringValue: string }>> }): GraphNode {
  const text = parameters[GRAPH_PARAMETER]?.stringValue;
  if (text === undefined) throw new TypeError(`${name} has no ${GRAPH_PARAMETER}`);
  try {
    return parseGraph(text);
  } catch (error) {
    const failure = StatusError.from(error);
    throw new StatusError(failure.reason, `graph '${name}': ${failure.message}`, { metadata: failure.metadata, cause: error });
  }
}
