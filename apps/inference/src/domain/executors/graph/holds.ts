import { StatusError } from "@servable/errors";
import { elementsOf, type ElementValue, type Tensor } from "@servable/tensor";
import type { InferRequest, ParameterValue } from "../executor.ts";
import type { Comparison, Condition, ConditionValue } from "./graph-node.ts";

/** Elements of one tensor that a condition looks at; larger tensors are for models. */
const ELEMENTS_MAX = 65_536;

/** Whether a condition holds for a request. A parameter that was not sent fits no comparison but "!=". @throws StatusError `SHAPE_MISMATCH` */
export function holds(condition: Condition, tensors: ReadonlyMap<string, Tensor>, request: InferRequest): boolean {
  switch (condition.kind) {
    case "all":
      return condition.conditions.every((each) => holds(each, tensors, request));
    case "any":
      return condition.conditions.some((each) => holds(each, tensors, request));
    case "not":
      return !holds(condition.condition, tensors, request);
    case "parameter":
      return compares(request.parameters.get(condition.name), condition.op, condition.value);
    case "tensor": {
      const tensor = tensors.get(condition.name) as Tensor;
      const elements = tensor.shape.reduce((product, size) => product * size, 1);
      if (elements > ELEMENTS_MAX) throw new StatusError("SHAPE_MISMATCH", `the condition ${condition.at} looks at "${condition.name}", which has ${elements} elements: at most ${ELEMENTS_MAX} are compared`);
      const fits = (element: ElementValue): boolean => compares(plain(element), condition.op, condition.value);
      const values = elementsOf(tensor, condition.name);
      // Of no elements nothing holds: an empty answer is no yes.
      return condition.match === "any" ? values.some(fits) : values.length > 0 && values.every(fits);
    }
    default: {
      const never: never = condition;
      return never;
    }
  }
}

function plain(element: ElementValue): ParameterValue {
  return element instanceof Uint8Array ? Buffer.from(element.buffer, element.byteOffset, element.byteLength).toString("utf8") : element;
}

function compares(got: ParameterValue | undefined, op: Comparison, want: ConditionValue | readonly ConditionValue[]): boolean {
  if (op === "in") return (want as readonly ConditionValue[]).some((each) => isEqual(got, each));
  if (op === "==") return isEqual(got, want as ConditionValue);
  if (op === "!=") return !isEqual(got, want as ConditionValue);
  if (typeof got !== "number" && typeof got !== "bigint") return false;
  const limit = want as number;
  if (op === "<") return got < limit;
  if (op === "<=") return got <= limit;
  return op === ">" ? got > limit : got >= limit;
}

/** 64-bit integers are compared exactly. */
function isEqual(got: ParameterValue | undefined, want: ConditionValue): boolean {
  return typeof got === "bigint" ? typeof want === "number" && Number.isInteger(want) && got === BigInt(want) : got === want;
}
