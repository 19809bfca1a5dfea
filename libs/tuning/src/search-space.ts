import { StatusError } from "@servable/errors";
import { checkParameter, containsValue, sameValue, type Condition, type Parameter, type ParameterValue } from "./parameter.ts";

/** A value for each parameter that counts. */
export type Assignment = Readonly<Record<string, ParameterValue>>;

/** Dimensions of one space: Sobol's direction numbers end here, and no study of that many could be finished. */
export const PARAMETERS_MAX = 64;

/** Parameters that count under the same conditions and are therefore seen together: one joint density each. */
export interface ParameterGroup {
  readonly when: readonly Condition[];
  readonly parameters: readonly Parameter[];
}

/** What is searched: checked, parents before their children. */
export interface SearchSpace {
  readonly parameters: readonly Parameter[];
  readonly groups: readonly ParameterGroup[];
  /** Whether a parameter counts, given the values of its parents. */
  isActive(parameter: Pick<Parameter, "when">, values: Assignment): boolean;
  /** Whether exactly the parameters that count have a value, each inside its range. */
  contains(values: Assignment): boolean;
}

/**
 * Checks parameters and orders them so that parents come before their children.
 *
 * @throws StatusError `FIELD_INVALID` naming the parameter: a wrong range, a name twice, an unknown parent, a condition on
 * a value that the parent cannot take, a circle of conditions, more than {@link PARAMETERS_MAX}
 * @example const space = searchSpace([{ name: "learning_rate", kind: "float", low: 1e-4, high: 1, log: true }]);
 */
export function searchSpace(parameters: readonly Parameter[]): SearchSpace {
  if (parameters.length === 0) throw invalid("", "a search space needs at least one parameter");
  if (parameters.length > PARAMETERS_MAX) throw invalid("", `a search space has at most ${PARAMETERS_MAX} parameters, got ${parameters.length}`);
  const byName = new Map<string, Parameter>();
  for (const parameter of parameters) {
    if (parameter.name === "") throw invalid("", "a parameter has no name");
    if (byName.has(parameter.name)) throw invalid(parameter.name, `parameter "${parameter.name}" is there twice`);
    checkParameter(parameter);
    byName.set(parameter.name, parameter);
  }
  for (const parameter of parameters) for (const condition of parameter.when ?? []) checkCondition(parameter, condition, byName);
  const ordered = parentsFirst(parameters, byName);

  const isActive = ({ when = [] }: Pick<Parameter, "when">, values: Assignment): boolean =>
    when.every(({ parameter, oneOf }) => {
      const value = values[parameter];
      return value !== undefined && oneOf.some((allowed) => sameValue(allowed, value));
    });
  return {
    parameters: ordered,
    groups: groupsOf(ordered),
    isActive,
    contains: (values) =>
      Object.keys(values).every((name) => byName.has(name)) &&
      ordered.every((parameter) => {
        const value = values[parameter.name];
        return isActive(parameter, values) ? value !== undefined && containsValue(parameter, value) : value === undefined;
      }),
  };
}

function checkCondition(parameter: Parameter, { parameter: parentName, oneOf }: Condition, byName: ReadonlyMap<string, Parameter>): void {
  const parent = byName.get(parentName);
  if (parent === undefined) throw invalid(parameter.name, `parameter "${parameter.name}" depends on "${parentName}", which is no parameter of this space`);
  if (oneOf.length === 0) throw invalid(parameter.name, `parameter "${parameter.name}" depends on "${parentName}" without a value: name at least one`);
  const foreign = oneOf.find((value) => !containsValue(parent, value));
  if (foreign !== undefined) throw invalid(parameter.name, `parameter "${parameter.name}" waits for "${parentName}" = ${JSON.stringify(foreign)}, which it never is`);
}

function parentsFirst(parameters: readonly Parameter[], byName: ReadonlyMap<string, Parameter>): Parameter[] {
  const ordered = new Set<Parameter>();
  const visit = (parameter: Parameter, path: readonly string[]): void => {
    if (ordered.has(parameter)) return;
    if (path.includes(parameter.name)) throw invalid(parameter.name, `conditions go in a circle: ${[...path, parameter.name].join(" → ")}`);
    for (const { parameter: parent } of parameter.when ?? []) visit(byName.get(parent) as Parameter, [...path, parameter.name]);
    ordered.add(parameter);
  };
  for (const parameter of parameters) visit(parameter, []);
  return [...ordered];
}

function groupsOf(ordered: readonly Parameter[]): ParameterGroup[] {
  const groups = new Map<string, { when: readonly Condition[]; parameters: Parameter[] }>();
  for (const parameter of ordered) {
    const when = parameter.when ?? [];
    const key = JSON.stringify(when);
    const group = groups.get(key) ?? { when, parameters: [] };
    group.parameters.push(parameter);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function invalid(parameter: string, message: string): StatusError {
  return new StatusError("FIELD_INVALID", message, { metadata: { field: "parameters", ...(parameter === "" ? {} : { parameter }) } });
}
