// A typed graph: what KServe's InferenceGraph says (sequence, switch, splitter, ensemble) over tensors with names and types
// instead of HTTP bodies. Nodes read tensors by name from what the caller sent and what nodes before them wrote, and write
// tensors by name themselves.

/** One node of a graph. */
export type GraphNode = ModelNode | TaskNode | SequenceNode | EnsembleNode | SwitchNode | SplitterNode;

/** Calls a model. */
export interface ModelNode {
  readonly kind: "model";
  /** Where it stands in the graph's text, for messages. */
  readonly at: string;
  readonly model: string;
  /** "" = the newest. */
  readonly version: string;
  /** Tensor of the graph by input of the model; inputs that are not named read the tensor of their own name. */
  readonly inputs: ReadonlyMap<string, string>;
  /** Tensor of the graph by output of the model; undefined = all outputs under their own names. */
  readonly outputs: ReadonlyMap<string, string> | undefined;
}

/** A step before or behind a model, as the model's own servable.yaml describes it. */
export interface TaskNode {
  readonly kind: "task";
  readonly at: string;
  /** Picture files to the model's input, texts to its ids, its scores to the names of the likeliest classes. */
  readonly step: TaskStepKind;
  /** Whose servable.yaml says how. */
  readonly model: string;
  readonly version: string;
  /** The tensor that it reads. */
  readonly from: string;
  /** Tensor of the graph by what the step gives; undefined = all of it under its own names. */
  readonly to: ReadonlyMap<string, string> | undefined;
  /** Labels a row; 0 = as many as the servable.yaml says. */
  readonly topK: number;
}

/** The kinds of {@link TaskNode}. */
export type TaskStepKind = "decode_image" | "tokenize" | "top_labels";

/** Runs nodes one after the other; each reads what those before it wrote. */
export interface SequenceNode {
  readonly kind: "sequence";
  readonly at: string;
  readonly nodes: readonly GraphNode[];
}

/** Runs nodes side by side on the same tensors and puts together what they write. */
export interface EnsembleNode {
  readonly kind: "ensemble";
  readonly at: string;
  readonly nodes: readonly GraphNode[];
}

/** Runs the first case whose condition holds, else `otherwise`. */
export interface SwitchNode {
  readonly kind: "switch";
  readonly at: string;
  readonly cases: readonly { readonly when: Condition; readonly then: GraphNode }[];
  /** undefined = a request that fits no case is refused. */
  readonly otherwise: GraphNode | undefined;
}

/** Runs one of several branches, each for its share of the requests. */
export interface SplitterNode {
  readonly kind: "splitter";
  readonly at: string;
  readonly branches: readonly { readonly weight: number; readonly then: GraphNode }[];
  /** What keeps a caller on one branch; undefined = the sequence where there is one, else chance. */
  readonly by: "request_id" | "sequence_id" | { readonly parameter: string } | undefined;
  readonly seed: number;
}

/** A value that tensors and parameters are compared with. */
export type ConditionValue = number | string | boolean;

/** How values are compared. */
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in";

/** What a switch asks of a request. */
export type Condition =
  | { readonly kind: "tensor"; readonly at: string; readonly name: string; readonly match: "all" | "any"; readonly op: Comparison; readonly value: ConditionValue | readonly ConditionValue[] }
  | { readonly kind: "parameter"; readonly at: string; readonly name: string; readonly op: Comparison; readonly value: ConditionValue | readonly ConditionValue[] }
  | { readonly kind: "all" | "any"; readonly at: string; readonly conditions: readonly Condition[] }
  | { readonly kind: "not"; readonly at: string; readonly condition: Condition };

/** Every node of a graph that names a model, once for each place where it stands. */
export function modelNodesOf(node: GraphNode): (ModelNode | TaskNode)[] {
  switch (node.kind) {
    case "model":
    case "task":
      return [node];
    case "sequence":
    case "ensemble":
      return node.nodes.flatMap(modelNodesOf);
    case "switch":
      return [...node.cases.map(({ then }) => then), ...(node.otherwise === undefined ? [] : [node.otherwise])].flatMap(modelNodesOf);
    case "splitter":
      return node.branches.flatMap(({ then }) => modelNodesOf(then));
    default: {
      const never: never = node;
      return never;
    }
  }
}
