// A gate says what a version must have reached before traffic comes to it without anybody looking. It reads the numbers that
// the evaluation left with the version and nothing else: who can write those can pass it, as who can move the alias can force it.

import { checkText } from "@servable/aip";
import { StatusError } from "@servable/errors";
import type { MetricRuleRecord, PromotionGateRecord, VersionRecord } from "./records.ts";

const GATES_MAX = 16;
const RULES_MAX = 32;
const NAME_MAX = 128;

/** @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the rule */
export function checkGates(gates: readonly PromotionGateRecord[]): readonly PromotionGateRecord[] {
  const field = "model.promotion_gates";
  if (gates.length > GATES_MAX) throw refuse(field, `must hold at most ${GATES_MAX} gates, got ${gates.length}`);
  const seen = new Set<string>();
  gates.forEach(({ alias, deployments, rules }, index) => {
    const where = `${field}[${index}]`;
    checkText(`${where}.alias`, alias, NAME_MAX);
    if (alias === "" && !deployments) throw refuse(`${where}.alias`, "is empty: name the alias that is guarded, or set deployments");
    if (alias !== "" && seen.has(alias)) throw refuse(`${where}.alias`, `"${alias}" has a gate already: put the rules into one`);
    seen.add(alias);
    if (rules.length === 0 || rules.length > RULES_MAX) throw refuse(`${where}.rules`, `must hold 1 to ${RULES_MAX} rules, got ${rules.length}`);
    rules.forEach((rule, place) => checkRule(`${where}.rules[${place}]`, rule));
  });
  return gates;
}

function checkRule(where: string, { metric, min, max, worseningMax }: MetricRuleRecord): void {
  if (metric === "") throw new StatusError("FIELD_REQUIRED", `${where}.metric is required`, { metadata: { field: `${where}.metric` } });
  checkText(`${where}.metric`, metric, NAME_MAX);
  if (min === undefined && max === undefined && worseningMax === undefined) throw refuse(where, "bounds nothing: set min, max or worsening_max");
  for (const [name, value] of [["min", min], ["max", max], ["worsening_max", worseningMax]] as const) {
    if (value !== undefined && !Number.isFinite(value)) throw refuse(`${where}.${name}`, `must be a finite number, got ${value}`);
  }
  if (min !== undefined && max !== undefined && min > max) throw refuse(`${where}.min`, `(${min}) is above max (${max}): nothing can pass`);
  if (worseningMax !== undefined && worseningMax < 0) throw refuse(`${where}.worsening_max`, `must not be negative, got ${worseningMax}`);
}

/** Why an alias may not move to a version, one sentence for each broken rule; empty when it may. */
export function aliasViolations(gates: readonly PromotionGateRecord[], alias: string, version: VersionRecord, current: VersionRecord | undefined): string[] {
  return gates.filter((gate) => gate.alias === alias).flatMap(({ rules }) => rules.flatMap((rule) => violations(rule, version, current)));
}

/** Why a deployment may not choose a version by itself; empty when it may. */
export function deploymentViolations(gates: readonly PromotionGateRecord[], version: VersionRecord): string[] {
  return gates.filter(({ deployments }) => deployments).flatMap(({ rules }) => rules.flatMap((rule) => violations(rule, version, undefined)));
}

/** @throws StatusError `PROMOTION_REFUSED` when there are violations */
export function refuseViolations(version: VersionRecord, found: readonly string[]): void {
  if (found.length === 0) return;
  throw new StatusError("PROMOTION_REFUSED", `${version.name} does not pass: ${found.join("; ")}`, { metadata: { model_version: version.name, violations: found.join("; ") } });
}

function violations({ metric, min, max, worseningMax, lowerIsBetter }: MetricRuleRecord, { metrics }: VersionRecord, current: VersionRecord | undefined): string[] {
  const value = metrics[metric];
  if (value === undefined) return min === undefined && max === undefined && current === undefined ? [] : [`it has no metric ${metric}`];
  const found: string[] = [];
  if (min !== undefined && !(value >= min)) found.push(`${metric} is ${value}, at least ${min} is asked for`);
  if (max !== undefined && !(value <= max)) found.push(`${metric} is ${value}, at most ${max} is asked for`);
  const before = current?.metrics[metric];
  if (worseningMax !== undefined && before !== undefined) {
    const worse = lowerIsBetter ? value - before : before - value;
    // Two numbers that differ by 0.01 in print differ by a little more in binary.
    if (worse > worseningMax + 1e-9) found.push(`${metric} is ${value}, ${Number(worse.toPrecision(3))} worse than the ${before} of version ${current?.number}, at most ${worseningMax} is allowed`);
  }
  return found;
}

function refuse(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
