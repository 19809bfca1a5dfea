// A graph under construction. Values know their datatype and shape when they are made, so that a mistake is an error at the
// line that made it, and not at the end inside onnxruntime.

import { tensorOf, type Datatype, type ElementValue, type Tensor } from "@servable/tensor";
import { GraphError } from "./graph-error.ts";

/** A size, or the name of one that varies. A name that begins with "?" is an inferred one, see {@link isUnknown}. */
export type Dimension = number | string;

/**
 * Whether a dimension of an imported graph is not known while the graph is built. Equal names are equal sizes; different ones
 * may be equal too, or broadcast: what depends on it is found out by nodes when the graph runs.
 */
export function isUnknown(dimension: Dimension | undefined): boolean {
  return typeof dimension === "string" && dimension.startsWith("?");
}

/** A symbolic tensor: an input, a constant or what a node gives. */
export interface Value {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly Dimension[];
}

/** An attribute of a node, by its JavaScript form: whole numbers are ints; write floats as `{ float }`. */
export type Attribute = number | string | readonly number[] | readonly string[] | { readonly float: number } | { readonly floats: readonly number[] } | { readonly tensor: Tensor };

/** A node with the values it connects, as gradients read it. */
export interface GraphNode {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  /** Undefined where an imported node leaves out an optional output. */
  readonly outputs: readonly (Value | undefined)[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** What the file that it came from calls it, for messages. */
  readonly name?: string;
}

/** Type of a node's output, and the name that it is to have. */
export interface OutputSpec {
  readonly datatype: Datatype;
  readonly shape: readonly Dimension[];
  readonly name?: string;
}

/** The opset of authored graphs: every operator used here has a CPU kernel in it. */
export const OPSET = 21;

/** The newest opset of the default domain that onnxruntime 1.30 loads. */
export const OPSET_MAX = 26;

/** A graph under construction: add inputs and nodes, then {@link buildModel}. */
export class Graph {
  readonly inputs: Value[] = [];
  readonly nodes: GraphNode[] = [];
  /** Opset of the default domain; importing a newer model raises it. */
  opset = OPSET;
  readonly initializers = new Map<string, { readonly value: Value; readonly tensor: Tensor }>();
  readonly #constants = new Map<string, Value>();
  readonly #taken = new Set<string>();
  readonly #prefix: string;
  #names = 0;
  #unknown = 0;

  /** @param prefix begins every name that the graph makes up itself: a model that is imported later keeps its own names then */
  constructor(prefix = "") {
    this.#prefix = prefix;
  }

  /**
   * Adds an input. Its name is the caller's, e.g. a column of a table, and may be any: names of nodes and weights added later
   * make way, so add inputs first.
   *
   * @throws GraphError when a value has that name already
   */
  input(name: string, datatype: Datatype, shape: readonly Dimension[]): Value {
    if (this.#taken.has(name)) throw new GraphError(`there is a value "${name}" already: add inputs before nodes`);
    this.#taken.add(name);
    const value = { name, datatype, shape };
    this.inputs.push(value);
    return value;
  }

  /** A constant of JavaScript values; equal ones are stored once. */
  constant(datatype: Datatype, shape: readonly number[], values: readonly ElementValue[] | readonly string[]): Value {
    const tensor = tensorOf(datatype, shape, values);
    const key = `${datatype}[${shape.join()}]${Buffer.from(tensor.data).toString("latin1")}`;
    const known = tensor.data.length <= 1024 ? this.#constants.get(key) : undefined;
    if (known !== undefined) return known;
    const value = this.weight(this.#unused("const"), tensor);
    this.#constants.set(key, value);
    return value;
  }

  /** A named constant, e.g. a trained weight; a number follows its name where an input has it. */
  weight(name: string, tensor: Tensor): Value {
    if (this.initializers.has(name)) throw new GraphError(`there is a weight "${name}" already`);
    const value = { name: this.#taken.has(name) ? this.#fresh(name) : name, datatype: tensor.datatype, shape: tensor.shape };
    this.#taken.add(value.name);
    this.initializers.set(value.name, { value, tensor });
    return value;
  }

  /** The same, with a number behind the name wherever it is taken: for weights that come along again and again. */
  anotherWeight(stem: string, tensor: Tensor): Value {
    return this.weight(stem === "" || this.initializers.has(stem) ? this.#unused(stem || "weight") : stem, tensor);
  }

  /** Adds a node with one output whose type the caller has inferred. */
  node(opType: string, inputs: readonly (Value | undefined)[], output: OutputSpec, attributes: Readonly<Record<string, Attribute>> = {}, domain = ""): Value {
    const value = { name: output.name ?? this.#fresh(opType), datatype: output.datatype, shape: output.shape };
    this.nodes.push({ opType, domain, inputs, outputs: [value], attributes });
    return value;
  }

  /** Adds a node with several outputs, undefined = left out; a number follows a name that is taken. */
  nodeOf(opType: string, inputs: readonly (Value | undefined)[], outputs: readonly (OutputSpec | undefined)[], attributes: Readonly<Record<string, Attribute>> = {}, domain = "", name?: string): (Value | undefined)[] {
    const values = outputs.map((output) => output && this.#valueOf(opType, output));
    this.nodes.push({ opType, domain, inputs, outputs: values, attributes, ...(name === undefined || name === "" ? {} : { name }) });
    return values;
  }

  /** The output of the last node with its sizes as the caller knows them, e.g. with their names. @throws GraphError when numbers differ */
  restate(value: Value, shape: readonly Dimension[]): Value {
    const outputs = this.nodes.at(-1)?.outputs as (Value | undefined)[] | undefined;
    const at = outputs?.indexOf(value) ?? -1;
    if (outputs === undefined || at < 0) throw new GraphError(`"${value.name}" is no output of the last node`);
    const differs = value.shape.length !== shape.length || value.shape.some((size, axis) => typeof size === "number" && typeof shape[axis] === "number" && size !== shape[axis]);
    if (differs) throw new GraphError(`"${value.name}" has the shape [${value.shape.join()}], not [${shape.join()}]`);
    const restated = { ...value, shape };
    outputs[at] = restated;
    return restated;
  }

  /** A size that nobody knows before a run, see {@link isUnknown}; each is another one. */
  unknownSize(): string {
    // "#" keeps them apart from the names that models give.
    return `?#${this.#unknown++}`;
  }

  /** Notes that a node needs a newer opset than {@link OPSET}. */
  requireOpset(opset: number): void {
    this.opset = Math.max(this.opset, opset);
  }

  /** An optional output of a node that is there: the one it has, or from now on gives. Gradients ask for, e.g., MaxPool's indices. */
  optionalOutput(node: GraphNode, index: number, output: OutputSpec): Value {
    const known = node.outputs[index];
    if (known !== undefined) return known;
    const value = this.#valueOf(node.opType, output);
    // The node object stays the same: whoever walks the graph right now holds it.
    const outputs = node.outputs as (Value | undefined)[];
    while (outputs.length < index) outputs.push(undefined);
    outputs[index] = value;
    return value;
  }

  #valueOf(opType: string, { name, datatype, shape }: OutputSpec): Value {
    const unique = name === undefined || this.#taken.has(name) ? this.#fresh(name ?? opType) : name;
    this.#taken.add(unique);
    return { name: unique, datatype, shape };
  }

  #fresh(stem: string): string {
    const name = this.#unused(stem);
    this.#taken.add(name);
    return name;
  }

  #unused(stem: string): string {
    for (;;) {
      const name = `${this.#prefix}${stem}_${this.#names++}`;
      if (!this.#taken.has(name)) return name;
    }
  }
}
