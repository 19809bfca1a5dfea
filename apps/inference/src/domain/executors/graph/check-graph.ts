// Walks a graph over types instead of tensors: what each node reads must be there and fit, and what it writes is there for the
// nodes behind it. What a switch or splitter writes is what all of its branches write, since nobody knows which one will run.

import type { Datatype } from "@servable/tensor";
import type { TensorSpec } from "../../config/signature.ts";
import { stepTypesOf, type StepModel, type StepReference } from "../pipeline-models.ts";
import { compatibleShapes } from "../../config/tensor-types.ts";
import type { Condition, GraphNode, ModelNode, TaskNode } from "./graph-node.ts";
import { refuseGraph } from "./graph-value.ts";

/** Types of tensors by name. */
export type TensorTypes = ReadonlyMap<string, TensorSpec>;

/** What the steps before and behind models read and give, by node. */
export type StepTypes = ReadonlyMap<TaskNode, { readonly input: readonly Datatype[]; readonly outputs: readonly TensorSpec[] }>;

/** What nodes write, by node: of a branch only what the nodes behind it may read. */
export type GraphWrites = ReadonlyMap<GraphNode, ReadonlySet<string>>;

/**
 * Checks a graph against the models that it names.
 *
 * @returns the names that each node writes
 * @throws StatusError `FIELD_INVALID` naming the node: a tensor that is not there, another datatype or shape, a name written
 * twice side by side, an output that not every way through the graph writes
 */
export function checkGraph(root: GraphNode, inputs: readonly TensorSpec[], outputs: readonly TensorSpec[], modelOf: (reference: StepReference) => StepModel, stepTypes: StepTypes = new Map()): GraphWrites {
  const writes = new Map<GraphNode, ReadonlySet<string>>();
  const given = new Map(inputs.map((spec) => [spec.name, spec]));
  const written = new GraphChecker(modelOf, stepTypes, writes).check(root, given);
  const all = new Map([...given, ...written]);
  for (const output of outputs) {
    const spec = all.get(output.name);
    if (spec === undefined) throw refuseGraph("root", `does not write the output "${output.name}" on every way: it has ${listed(all)}`);
    expectFit(spec, output, "root", `the output "${output.name}"`);
  }
  return writes;
}

class GraphChecker {
  readonly #modelOf: (reference: StepReference) => StepModel;
  readonly #stepTypes: StepTypes;
  readonly #writes: Map<GraphNode, ReadonlySet<string>>;

  constructor(modelOf: (reference: StepReference) => StepModel, stepTypes: StepTypes, writes: Map<GraphNode, ReadonlySet<string>>) {
    this.#modelOf = modelOf;
    this.#stepTypes = stepTypes;
    this.#writes = writes;
  }

  check(node: GraphNode, given: TensorTypes): TensorTypes {
    const written = this.#check(node, given);
    this.#writes.set(node, new Set(written.keys()));
    return written;
  }

  #check(node: GraphNode, given: TensorTypes): TensorTypes {
    switch (node.kind) {
      case "model":
        return this.#checkModel(node, given);
      case "task":
        return this.#checkTask(node, given);
      case "sequence": {
        const written = new Map<string, TensorSpec>();
        for (const each of node.nodes) for (const [name, spec] of this.check(each, new Map([...given, ...written]))) written.set(name, spec);
        return written;
      }
      case "ensemble": {
        const written = new Map<string, TensorSpec>();
        for (const each of node.nodes) {
          for (const [name, spec] of this.check(each, given)) {
            if (written.has(name)) throw refuseGraph(each.at, `writes "${name}", which another node beside it writes too: give one of them another name`);
            written.set(name, spec);
          }
        }
        return written;
      }
      case "switch":
        for (const { when } of node.cases) checkCondition(when, given);
        return inAll(node.at, [...node.cases.map(({ then }) => then), ...(node.otherwise === undefined ? [] : [node.otherwise])].map((branch) => this.check(branch, given)));
      case "splitter":
        return inAll(node.at, node.branches.map(({ then }) => this.check(then, given)));
      default: {
        const never: never = node;
        return never;
      }
    }
  }

  #checkTask(node: TaskNode, given: TensorTypes): TensorTypes {
    const types = this.#stepTypes.get(node);
    const spec = given.get(node.from);
    if (spec === undefined) throw refuseGraph(node.at, `${node.step} reads the tensor "${node.from}", which is not there: there are ${listed(given)}`);
    if (types?.input.includes(spec.datatype) === false || spec.shape.length > 2) throw refuseGraph(node.at, `${node.step} reads ${types?.input.join(" or ") ?? "a tensor"} of at most two dimensions, "${node.from}" is ${shown(spec)}`);
    return renamedOutputs(node.to, types?.outputs ?? [], `${node.at}.${node.step}.to`, node.step);
  }

  #checkModel(node: ModelNode, given: TensorTypes): TensorTypes {
    const { at, model } = node;
    const step = this.#modelOf(node);
    if (step.spec.config.modelTransactionPolicy?.decoupled === true) throw refuseGraph(at, `"${model}" is decoupled: graphs take models with one answer; use an ensemble`);
    const types = stepTypesOf(step);
    for (const name of node.inputs.keys()) if (!types.inputs.some((spec) => spec.name === name)) throw refuseGraph(`${at}.inputs`, `"${model}" takes no "${name}", only ${listed(new Map(types.inputs.map((spec) => [spec.name, spec])))}`);
    for (const { name, datatype, shape, optional } of types.inputs) {
      const tensor = node.inputs.get(name) ?? name;
      const spec = given.get(tensor);
      if (spec === undefined) {
        if (optional && !node.inputs.has(name)) continue;
        throw refuseGraph(at, `"${model}" reads "${name}" from the tensor "${tensor}", which is not there: there are ${listed(given)}`);
      }
      expectFit(spec, { name, datatype, shape }, at, `"${name}" of "${model}"`);
    }
    return renamedOutputs(node.outputs, types.outputs, `${at}.outputs`, `"${model}"`);
  }
}

function renamedOutputs(names: ReadonlyMap<string, string> | undefined, outputs: readonly TensorSpec[], at: string, what: string): TensorTypes {
  const all = new Map(outputs.map((spec) => [spec.name, spec]));
  if (names === undefined) return all;
  return new Map(
    [...names].map(([output, tensor]) => {
      const spec = all.get(output);
      if (spec === undefined) throw refuseGraph(at, `${what} gives no "${output}", only ${listed(all)}`);
      return [tensor, { ...spec, name: tensor }] as const;
    }),
  );
}

function checkCondition(condition: Condition, given: TensorTypes): void {
  switch (condition.kind) {
    case "all":
    case "any":
      for (const each of condition.conditions) checkCondition(each, given);
      return;
    case "not":
      return checkCondition(condition.condition, given);
    case "parameter":
      return; // The caller's own; nobody knows its type.
    case "tensor": {
      const spec = given.get(condition.name);
      if (spec === undefined) throw refuseGraph(condition.at, `looks at the tensor "${condition.name}", which is not there: there are ${listed(given)}`);
      const kind = spec.datatype === "BYTES" ? "string" : spec.datatype === "BOOL" ? "boolean" : "number";
      const odd = [condition.value].flat().find((value) => typeof value !== kind);
      if (odd !== undefined) throw refuseGraph(condition.at, `compares "${condition.name}", which is ${spec.datatype}, with ${JSON.stringify(odd)}`);
      return;
    }
    default: {
      const never: never = condition;
      return never;
    }
  }
}

/** What all branches write, with the sizes that they agree about. */
function inAll(at: string, branches: readonly TensorTypes[]): TensorTypes {
  const [first = new Map<string, TensorSpec>(), ...others] = branches;
  const common = new Map<string, TensorSpec>();
  for (const [name, spec] of first) {
    let merged: TensorSpec = spec;
    let isEverywhere = true;
    for (const other of others) {
      const same = other.get(name);
      if (same === undefined) {
        isEverywhere = false;
        break;
      }
      if (same.datatype !== merged.datatype || same.shape.length !== merged.shape.length) {
        throw refuseGraph(at, `writes "${name}" as ${shown(merged)} in one branch and as ${shown(same)} in another: give one of them another name`);
      }
      merged = { ...merged, shape: merged.shape.map((size, axis) => (size === same.shape[axis] ? size : -1)) };
    }
    if (isEverywhere) common.set(name, merged);
  }
  return common;
}

function expectFit(got: TensorSpec, want: TensorSpec, at: string, what: string): void {
  if (got.datatype !== want.datatype || !compatibleShapes(got.shape, want.shape)) throw refuseGraph(at, `${what} is ${shown(want)}, the tensor "${got.name}" is ${shown(got)}`);
}

function shown({ datatype, shape }: TensorSpec): string {
  return `${datatype} [${shape.join(", ")}]`;
}

function listed(types: TensorTypes): string {
  return [...types.keys()].map((name) => `"${name}"`).join(", ");
}
