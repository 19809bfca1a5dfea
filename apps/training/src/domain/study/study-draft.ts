import { checkId, checkServedName, formatName, parseName } from "@servable/aip";
import { StatusError } from "@servable/errors";
import { gridOf, searchSpace, type Assignment, type Direction, type Parameter, type ParameterValue, type SearchSpace } from "@servable/tuning";
import { checkCrossValidation, foldTotal } from "../cross-validation.ts";
import type { DatasetRecord } from "../records.ts";
import type { CrossValidationRecord } from "../training-spec-record.ts";
import { resolveSpec, type TrainingSpecDraft } from "../training-spec.ts";
import { checkedChoice, pathKind, variedPaths, withValues } from "./spec-paths.ts";
import type { PrunerRecord, SamplerRecord, StudyRecord, TrialLimitsRecord } from "./study-records.ts";
import { TRIALS_MAX } from "./study-log.ts";

export const STUDY_NAME = "projects/{project}/tuningStudies/{tuning_study}";

/** Bounds of one study. */
export const STUDY_LIMITS = { maxTrialCount: TRIALS_MAX, parallelTrialCount: 64, choicesMax: 100, idLengthMax: 48, labelsMax: 32, labelLengthMax: 63, priorityMax: 100 } as const;

const TRIAL_COUNT = 50;
const SILENCE_MS = 600_000;
/** Metrics of which less is better. */
const SMALL_IS_GOOD = /loss|error|^(mae|mse|rmse|mape|brier|perplexity|bits_per_byte|mean_residual)$/;

/** A study as its caller asks for it: 0, "" and undefined mean "not said". */
export interface StudyDraft {
  readonly parent: string;
  /** Empty = chosen by the service. */
  readonly studyId: string;
  readonly dataset: string;
  readonly model: string;
  readonly spec: TrainingSpecDraft;
  readonly specJson: string;
  readonly parameters: readonly Parameter[];
  readonly metric: string;
  readonly direction: Direction | undefined;
  readonly sampler: Partial<SamplerRecord>;
  readonly pruner: (Partial<PrunerRecord> & Pick<PrunerRecord, "algorithm">) | undefined;
  readonly maxTrialCount: number;
  readonly parallelTrialCount: number;
  readonly crossValidation: CrossValidationRecord | undefined;
  readonly seed: number;
  readonly finalModel: StudyRecord["finalModel"] | undefined;
  readonly timeBudgetMs: number | undefined;
  readonly trialLimits: TrialLimitsRecord | undefined;
  readonly trialSilenceMs: number | undefined;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly requestId: string;
}

/** What must be known of a draft before its data set is looked at. @throws StatusError `FIELD_INVALID`, `RESOURCE_NAME_INVALID` */
export function checkStudyNames(draft: StudyDraft, chosenId: string): { readonly project: string; readonly name: string } {
  const { project } = parseName("projects/{project}", draft.parent, "parent");
  const id = draft.studyId === "" ? chosenId : checkId("tuning_study_id", draft.studyId);
  // Its trials' jobs are named after it, and names have at most 63 characters.
  if (id.length > STUDY_LIMITS.idLengthMax) throw new StatusError("FIELD_INVALID", `tuning_study_id has ${id.length} characters, at most ${STUDY_LIMITS.idLengthMax} are allowed`, { metadata: { field: "tuning_study_id" } });
  const dataset = parseName("projects/{project}/datasets/{dataset}", draft.dataset, "tuning_study.dataset");
  const references: (readonly [string, string])[] = [["dataset", dataset.project]];
  if (draft.model !== "" || draft.finalModel !== "none") {
    const model = parseName("projects/{project}/models/{model}", draft.model, "tuning_study.model");
    checkServedName("tuning_study.model", model.model);
    references.push(["model", model.project]);
  }
  for (const [field, other] of references) if (other !== project) throw invalid(field, `is of projects/${other}, it must be of projects/${project} as the study`);
  return { project, name: formatName(STUDY_NAME, { project, tuning_study: id }) };
}

/** The settings of a new study, every default filled in. @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the field, `TARGET_UNSUITABLE` */
export function resolveStudy(
  draft: StudyDraft,
  dataset: DatasetRecord,
): Pick<
  StudyRecord,
  "parameters" | "metric" | "direction" | "sampler" | "pruner" | "maxTrialCount" | "parallelTrialCount" | "crossValidation" | "seed" | "finalModel" | "timeBudgetMs" | "trialLimits" | "trialSilenceMs" | "priority" | "labels"
> {
  const crossValidation = draft.crossValidation && checkCrossValidation("tuning_study.cross_validation", draft.crossValidation, dataset);
  const space = checkedSpace(draft, dataset);
  const metric = draft.metric === "" || draft.metric === "validation_loss" ? "loss" : draft.metric;
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(metric)) throw invalid("objective.metric", `"${metric.slice(0, 64)}" is no name of a metric`);
  if (draft.finalModel === "all_rows" && (draft.spec.split ?? "") !== "") throw invalid("final_model", "is ALL_ROWS, which would learn from the test rows of spec.split: use BEST, or a specification without a split");
  const labels = Object.entries(draft.labels);
  if (labels.length > STUDY_LIMITS.labelsMax) throw invalid("labels", `are ${labels.length}, at most ${STUDY_LIMITS.labelsMax} are allowed`);
  if (labels.flat().some((text) => text.length > STUDY_LIMITS.labelLengthMax)) throw invalid("labels", `hold a key or value of more than ${STUDY_LIMITS.labelLengthMax} characters`);
  const sampler = resolveSampler(draft.sampler);
  if (sampler.algorithm === "grid") gridOf(space, { pointsPerFloat: sampler.gridPointCount });
  return {
    parameters: space.parameters,
    metric,
    direction: draft.direction ?? (SMALL_IS_GOOD.test(metric) ? "minimize" : "maximize"),
    sampler,
    pruner: draft.pruner && resolvePruner(draft.pruner, crossValidation === undefined ? resolveSpec(withValues(draft.spec, firstPoint(space)), dataset).epochCount : foldTotal(crossValidation)),
    maxTrialCount: count("max_trial_count", draft.maxTrialCount, TRIAL_COUNT, STUDY_LIMITS.maxTrialCount),
    parallelTrialCount: count("parallel_trial_count", draft.parallelTrialCount, 1, STUDY_LIMITS.parallelTrialCount),
    crossValidation,
    seed: count("seed", draft.seed, 0, Number.MAX_SAFE_INTEGER),
    finalModel: draft.finalModel ?? "best",
    timeBudgetMs: positive("time_budget", draft.timeBudgetMs),
    trialLimits: draft.trialLimits,
    trialSilenceMs: positive("trial_silence_duration", draft.trialSilenceMs) ?? SILENCE_MS,
    priority: within("priority", draft.priority, -STUDY_LIMITS.priorityMax, STUDY_LIMITS.priorityMax),
    labels: draft.labels,
  };
}

/** The space, each end and choice of which makes a specification that can be trained. */
function checkedSpace({ spec, parameters }: StudyDraft, dataset: DatasetRecord): SearchSpace {
  for (const { name, ...parameter } of parameters) {
    const kind = pathKind(name);
    if (kind === undefined) throw invalid(`parameters["${name.slice(0, 64)}"]`, `is no field that can be varied: ${variedPaths().join(", ")}`);
    if (parameter.kind !== "categorical" && kind !== "number" && kind !== "whole number") throw invalid(`parameters["${name}"]`, `is a ${kind} and has a range: give choices`);
    if (parameter.kind === "categorical" && parameter.choices.length > STUDY_LIMITS.choicesMax) throw invalid(`parameters["${name}"]`, `has ${parameter.choices.length} choices, at most ${STUDY_LIMITS.choicesMax} are allowed`);
  }
  const normal = (path: string, value: ParameterValue): ParameterValue => (pathKind(path) === "word" ? checkedChoice(path, value) : value);
  const space = searchSpace(
    parameters.map((parameter): Parameter => {
      const when = { when: (parameter.when ?? []).map(({ parameter: path, oneOf }) => ({ parameter: path, oneOf: oneOf.map((value) => normal(path, value)) })) };
      if (parameter.kind === "categorical") return { ...parameter, ...when, choices: parameter.choices.map((choice) => checkedChoice(parameter.name, choice)) };
      return { ...parameter, ...when, kind: pathKind(parameter.name) === "whole number" ? "int" : "float" };
    }),
  );
  for (const parameter of space.parameters) {
    for (const value of parameter.kind === "categorical" ? parameter.choices : [parameter.low, parameter.high]) {
      const point = firstPoint(space, { [parameter.name]: value });
      try {
        resolveSpec(withValues(spec, point), dataset);
      } catch (error) {
        const failure = StatusError.from(error);
        if (failure.reason === "INTERNAL") throw error;
        throw new StatusError(failure.reason, `tuning_study.parameters: with ${JSON.stringify(point)} ${failure.message}; change the range, or give the parameter a condition`, { metadata: { ...failure.metadata, field: "tuning_study.parameters", path: parameter.name } });
      }
    }
  }
  return space;
}

/** The first value of each parameter, except that those given count, and their parents are such that they do. */
function firstPoint(space: SearchSpace, wanted: Assignment = {}): Assignment {
  const forced: Record<string, ParameterValue> = { ...wanted };
  for (const parameter of [...space.parameters].reverse()) {
    if (forced[parameter.name] === undefined) continue;
    for (const { parameter: parent, oneOf } of parameter.when ?? []) forced[parent] ??= oneOf[0] as ParameterValue;
  }
  const values: Record<string, ParameterValue> = {};
  for (const parameter of space.parameters) {
    if (space.isActive(parameter, values)) values[parameter.name] = forced[parameter.name] ?? (parameter.kind === "categorical" ? (parameter.choices[0] as ParameterValue) : parameter.low);
  }
  return values;
}

function resolveSampler(said: Partial<SamplerRecord>): SamplerRecord {
  return {
    algorithm: said.algorithm ?? "tpe",
    startupTrialCount: count("sampler.startup_trial_count", said.startupTrialCount, 10, TRIALS_MAX),
    gridPointCount: count("sampler.grid_point_count", said.gridPointCount, 5, 1_000),
  };
}

function resolvePruner(said: NonNullable<StudyDraft["pruner"]>, wholeTrial: number): PrunerRecord {
  const { algorithm, lower, upper } = said;
  if (algorithm === "threshold" && lower === undefined && upper === undefined) throw invalid("pruner", "is THRESHOLD and has neither lower nor upper");
  const reductionFactor = count("pruner.reduction_factor", said.reductionFactor, algorithm === "hyperband" ? 3 : 4, 100);
  if (reductionFactor < 2) throw invalid("pruner.reduction_factor", "must be at least 2: one in so many goes on");
  const minResource = count("pruner.min_resource", said.minResource, 1, 1_000_000);
  const maxResource = count("pruner.max_resource", said.maxResource, Math.max(wholeTrial, minResource), 1_000_000);
  if (maxResource < minResource) throw invalid("pruner.max_resource", `is ${maxResource}, it must not be below min_resource ${minResource}`);
  return {
    algorithm,
    startupTrialCount: count("pruner.startup_trial_count", said.startupTrialCount, 5, TRIALS_MAX),
    warmupStepCount: within("pruner.warmup_step_count", said.warmupStepCount ?? 0, 0, 1_000_000),
    percentile: (said.percentile ?? 0) === 0 ? 25 : within("pruner.percentile", said.percentile ?? 0, 0, 100),
    minResource,
    maxResource,
    reductionFactor,
    lower,
    upper,
  };
}

function count(field: string, value: number | undefined, fallback: number, max: number): number {
  if (value === undefined || value === 0) return fallback;
  if (!Number.isInteger(value)) throw invalid(field, `is ${value}, it must be a whole number`);
  return within(field, value, 1, max);
}

function within(field: string, value: number, min: number, max: number): number {
  if (!(value >= min && value <= max)) throw invalid(field, `is ${value}, it must be from ${min} to ${max}`);
  return value;
}

function positive(field: string, value: number | undefined): number | undefined {
  if (value !== undefined && !(value > 0)) throw invalid(field, "must be above 0");
  return value;
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `tuning_study.${field} ${problem}`, { metadata: { field: `tuning_study.${field}` } });
}
