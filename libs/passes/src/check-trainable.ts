// A file that is to be trained is a program by a stranger, as one that is served; what training cannot keep its promises with
// is refused besides, before any job runs.

import { GraphError, MODEL_LIMITS, OPSET_MAX, checkLimits, importGraph, type ImportOptions, type ImportedNode, type ModelLimits, type ModelProto } from "@servable/onnx";
import { StatusError } from "@servable/errors";

/** Bounds of a model that may be trained. */
export interface TrainableLimits extends ModelLimits {
  /** Newest IR version that onnxruntime reads. */
  readonly irVersionMax: number;
  readonly opsetMax: number;
}

/** Gradients make three nodes of one: onnxruntime takes seconds to load graphs beyond this. */
const TRAINED_NODES_MAX = 10_000;

/** The bounds used unless told otherwise. */
export const TRAINABLE_LIMITS: TrainableLimits = { ...MODEL_LIMITS, nodeCountMax: TRAINED_NODES_MAX, irVersionMax: 13, opsetMax: OPSET_MAX };

const RANDOM: ReadonlySet<string> = new Set(["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"]);

/**
 * Refuses models that cannot be trained: those that no service would load, see checkLimits; sums by ScatterND, which lose
 * updates on several threads; random operators, whose state cannot be saved; operators that are not known.
 *
 * @param files sizes by path of the files that stand beside the model
 * @throws StatusError `MODEL_REFUSED` naming the operator, the node and what to do instead
 */
export function checkTrainable(model: ModelProto, options: { readonly limits?: TrainableLimits; readonly files?: ReadonlyMap<string, number> } & Pick<ImportOptions, "readExternal"> = {}): void {
  const { limits = TRAINABLE_LIMITS, files, readExternal } = options;
  checkLimits(model, limits, files);
  if (model.irVersion > BigInt(limits.irVersionMax)) throw refused(`its IR version ${model.irVersion} is newer than ${limits.irVersionMax}: save it with ir_version ${limits.irVersionMax} or lower`);
  const opset = Number(model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx")?.version ?? 0n);
  if (opset > limits.opsetMax) throw refused(`opset ${opset} is newer than ${limits.opsetMax}: export the model with opset ${limits.opsetMax} or lower`);
  try {
    importGraph(model, { ...(readExternal === undefined ? {} : { readExternal }), rewrite: (node) => void checkNode(node) });
  } catch (error) {
    if (error instanceof GraphError) throw refused(error.message, error);
    throw error;
  }
}

function checkNode(node: ImportedNode): void {
  if (node.domain !== "") return;
  if (node.opType === "ScatterND" && (node.attributes["reduction"] ?? "none") !== "none") throw new GraphError("onnxruntime loses updates of this sum when it runs on several threads: use ScatterElements with a reduction");
  if (RANDOM.has(node.opType)) throw new GraphError("random operators keep a state that no checkpoint holds: feed the random numbers as an input");
}

function refused(why: string, cause?: unknown): StatusError {
  return new StatusError("MODEL_REFUSED", `the model cannot be trained: ${why}`, { cause });
}

