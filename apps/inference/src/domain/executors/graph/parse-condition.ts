import type { Comparison, Condition, ConditionValue } from "./graph-node.ts";
import { listOf, objectOf, refuseGraph, textOf } from "./graph-value.ts";

const COMPARISONS: readonly Comparison[] = ["==", "!=", "<", "<=", ">", ">=", "in"];
const ORDERINGS: readonly Comparison[] = ["<", "<=", ">", ">="];
const DEPTH_MAX = 16;

/**
 * Reads a condition: `{"tensor": name, ">": 0.5}` (every element; `"match": "any"` for at least one), `{"parameter": name,
 * "==": "gold"}`, `{"all": […]}`, `{"any": […]}`, `{"not": …}`.
 *
 * @throws StatusError `FIELD_INVALID`
 */
export function parseCondition(value: unknown, at: string, depth = 0): Condition {
  if (depth > DEPTH_MAX) throw refuseGraph(at, `is more than ${DEPTH_MAX} conditions deep`);
  const object = objectOf(value, at);
  const kinds = (["tensor", "parameter", "all", "any", "not"] as const).filter((kind) => kind in object);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) throw refuseGraph(at, "must have exactly one of tensor, parameter, all, any, not");
  switch (kind) {
    case "all":
    case "any":
      return { kind, at, conditions: listOf(objectOf(object, at, [kind])[kind], `${at}.${kind}`).map((each, index) => parseCondition(each, `${at}.${kind}[${index}]`, depth + 1)) };
    case "not":
      return { kind, at, condition: parseCondition(objectOf(object, at, ["not"])["not"], `${at}.not`, depth + 1) };
    case "parameter": {
      objectOf(object, at, ["parameter", ...COMPARISONS]);
      return { kind, at, name: textOf(object["parameter"], `${at}.parameter`), ...comparisonOf(object, at) };
    }
    case "tensor": {
      const { match = "all" } = objectOf(object, at, ["tensor", "match", ...COMPARISONS]);
      if (match !== "all" && match !== "any") throw refuseGraph(`${at}.match`, 'must be "all" or "any"');
      return { kind, at, name: textOf(object["tensor"], `${at}.tensor`), match, ...comparisonOf(object, at) };
    }
    default: {
      const never: never = kind;
      return never;
    }
  }
}

function comparisonOf(object: Readonly<Record<string, unknown>>, at: string): { readonly op: Comparison; readonly value: ConditionValue | readonly ConditionValue[] } {
  const ops = COMPARISONS.filter((op) => op in object);
  const [op] = ops;
  if (op === undefined || ops.length > 1) throw refuseGraph(at, `must have exactly one of ${COMPARISONS.join(" ")}`);
  const value = object[op];
  if (op === "in") return { op, value: listOf(value, `${at}.in`).map((each, index) => valueOf(each, `${at}.in[${index}]`)) };
  const single = valueOf(value, `${at}.${op}`);
  if (ORDERINGS.includes(op) && typeof single !== "number") throw refuseGraph(`${at}.${op}`, "must be a number");
  return { op, value: single };
}

function valueOf(value: unknown, at: string): ConditionValue {
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") return value;
  throw refuseGraph(at, "must be a number, a text, true or false");
}
