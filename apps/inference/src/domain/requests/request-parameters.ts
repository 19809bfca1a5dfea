// A request's parameters: some are words of the protocol with a fixed type, the rest go to the model as they are.

import { StatusError } from "@servable/errors";
import type { InferParameter, InferParameters } from "@servable/open-inference";
import type { ParameterValue, SequencePlace } from "../executors/executor.ts";

/** Parameters of one request. */
const PARAMETERS_MAX = 1_000;
const RESERVED_PREFIX = "triton_";
const EMPTY_FINAL_RESPONSE = "triton_enable_empty_final_response";

/** What a request's parameters say. */
export interface RequestParameters {
  /** The caller's own ones. */
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  /** 1 = first served; 0 = the model's default level. */
  readonly priority: number;
  /** 0 = the model's own limit. */
  readonly queueTimeoutUs: number;
  readonly sequence: SequencePlace | undefined;
  /** Whether a decoupled model's last answer shall be an empty one. */
  readonly wantsEmptyFinalResponse: boolean;
}

const NONE: RequestParameters = { parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined, wantsEmptyFinalResponse: false };

/** @throws StatusError `FIELD_INVALID` naming the parameter and the kind that it must have */
export function readRequestParameters(parameters: InferParameters): RequestParameters {
  if (parameters.size === 0) return NONE;
  const given = new Map(parameters);
  if (given.size > PARAMETERS_MAX) throw new StatusError("FIELD_INVALID", `a request may have ${PARAMETERS_MAX} parameters, got ${given.size}`, { metadata: { field: "parameters" } });
  const take = (key: string): InferParameter | undefined => {
    const parameter = given.get(key);
    given.delete(key);
    return parameter;
  };
  const flag = (key: string): boolean => {
    const parameter = take(key);
    if (parameter === undefined) return false;
    if (parameter.kind !== "bool") throw wrongKind(key, "bool_param");
    return parameter.value === true;
  };

  const sequenceId = take("sequence_id");
  const [start, end] = [flag("sequence_start"), flag("sequence_end")];
  const priority = priorityOf(take("priority"));
  const queueTimeoutUs = timeoutOf(take("timeout"));
  const wantsEmptyFinalResponse = flag(EMPTY_FINAL_RESPONSE);
  return { priority, queueTimeoutUs, sequence: sequenceOf(sequenceId, start, end), wantsEmptyFinalResponse, parameters: ownParameters(given) };
}

function sequenceOf(parameter: InferParameter | undefined, start: boolean, end: boolean): SequencePlace | undefined {
  if (parameter === undefined) return undefined;
  const { kind, value } = parameter;
  if (kind === "string") return value === "" ? undefined : { id: String(value), numericId: undefined, start, end };
  if (kind !== "int64" || typeof value !== "bigint") throw wrongKind("sequence_id", "int64_param or string_param");
  // The protocol carries unsigned ids in a signed field.
  const numericId = BigInt.asUintN(64, value);
  return numericId === 0n ? undefined : { id: String(numericId), numericId, start, end };
}

function priorityOf(parameter: InferParameter | undefined): number {
  if (parameter === undefined) return 0;
  const { kind, value } = parameter;
  if ((kind !== "int64" && kind !== "uint64") || typeof value !== "bigint") throw wrongKind("priority", "int64_param or uint64_param");
  if (value < 0n) throw new StatusError("FIELD_INVALID", `parameter 'priority' is ${value}: it must be a whole number from 0 on, where 1 is served first`, { metadata: { field: "parameters.priority" } });
  return Number(value);
}

function timeoutOf(parameter: InferParameter | undefined): number {
  if (parameter === undefined) return 0;
  const { kind, value } = parameter;
  if (kind !== "int64" || typeof value !== "bigint") throw wrongKind("timeout", "int64_param");
  if (value < 0n) throw new StatusError("FIELD_INVALID", `parameter 'timeout' is ${value}: it counts microseconds, from 0 on`, { metadata: { field: "parameters.timeout" } });
  return Number(value);
}

function ownParameters(given: ReadonlyMap<string, InferParameter>): ReadonlyMap<string, ParameterValue> {
  const own = new Map<string, ParameterValue>();
  for (const [key, { kind, value }] of given) {
    if (key.startsWith(RESERVED_PREFIX)) {
      throw new StatusError("FIELD_INVALID", `parameter keys starting with '${RESERVED_PREFIX}' are reserved for Triton usage and should not be specified: got '${key}'`, { metadata: { field: `parameters.${key}` } });
    }
    if (key === "headers") throw new StatusError("FIELD_INVALID", "the parameter 'headers' is reserved", { metadata: { field: "parameters.headers" } });
    if (kind === "uint64") throw wrongKind(key, "bool_param, int64_param, string_param or double_param");
    own.set(key, value);
  }
  return own;
}

function wrongKind(key: string, wanted: string): StatusError {
  return new StatusError("FIELD_INVALID", `invalid value type for '${key}' parameter, expected ${wanted}.`, { metadata: { field: `parameters.${key}` } });
}
