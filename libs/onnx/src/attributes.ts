import type { Tensor } from "@servable/tensor";
import { GraphError } from "./graph-error.ts";
import type { Attribute, GraphNode } from "./graph.ts";

/** What the readers below need of a node. */
type WithAttributes = Pick<GraphNode, "opType" | "attributes">;

/** A whole number, or the default where the node has none. @throws GraphError when it is something else */
export function intAttribute(node: WithAttributes, name: string, fallback: number): number {
  const value = node.attributes[name];
  if (value === undefined) return fallback;
  if (typeof value !== "number") throw mistyped(node, name, "a whole number");
  return value;
}

/** Whole numbers; undefined where the node has none. @throws GraphError */
export function intsAttribute(node: WithAttributes, name: string): readonly number[] | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some((each) => typeof each !== "number")) throw mistyped(node, name, "whole numbers");
  return value as readonly number[];
}

/** A float, or the default where the node has none. @throws GraphError */
export function floatAttribute(node: WithAttributes, name: string, fallback: number): number {
  const value = node.attributes[name];
  if (value === undefined) return fallback;
  if (!isRecord(value) || !("float" in value)) throw mistyped(node, name, "a float");
  return value.float;
}

/** Floats; undefined where the node has none. @throws GraphError */
export function floatsAttribute(node: WithAttributes, name: string): readonly number[] | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (!isRecord(value) || !("floats" in value)) throw mistyped(node, name, "floats");
  return value.floats;
}

/** A text, or the default where the node has none. @throws GraphError */
export function textAttribute(node: WithAttributes, name: string, fallback: string): string {
  const value = node.attributes[name];
  if (value === undefined) return fallback;
  if (typeof value !== "string") throw mistyped(node, name, "a text");
  return value;
}

/** Texts; undefined where the node has none. @throws GraphError */
export function textsAttribute(node: WithAttributes, name: string): readonly string[] | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some((each) => typeof each !== "string")) throw mistyped(node, name, "texts");
  return value as readonly string[];
}

/** A tensor; undefined where the node has none. @throws GraphError */
export function tensorAttribute(node: WithAttributes, name: string): Tensor | undefined {
  const value = node.attributes[name];
  if (value === undefined) return undefined;
  if (!isRecord(value) || !("tensor" in value)) throw mistyped(node, name, "a tensor");
  return value.tensor;
}

function isRecord(value: Attribute): value is Exclude<Attribute, number | string | readonly number[] | readonly string[]> {
  return typeof value === "object" && !Array.isArray(value);
}

function mistyped({ opType }: WithAttributes, name: string, want: string): GraphError {
  return new GraphError(`attribute ${name} of ${opType} must be ${want}`);
}
