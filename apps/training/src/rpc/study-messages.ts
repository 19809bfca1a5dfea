// Studies and trials ↔ messages.

import { create, fromJson, toJson, type JsonValue } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs, ValueSchema, type Value } from "@bufbuild/protobuf/wkt";
import { TrainingSpecSchema } from "@servable/contracts/training/v1/training_job";
import type { CreateTuningStudyRequest } from "@servable/contracts/training/v1/training";
import {
  TrialSchema,
  Trial_State,
  TuningObjective_Direction,
  TuningPruner_Algorithm,
  TuningSampler_Algorithm,
  TuningStudyEventSchema,
  TuningStudySchema,
  TuningStudy_FinalModel,
  TuningStudy_State,
  type Trial,
  type TuningParameter,
  type TuningPruner,
  type TuningStudy,
  type TuningStudyEvent,
} from "@servable/contracts/training/v1/tuning_study";
import { StatusError } from "@servable/errors";
import type { Direction, Parameter, ParameterValue } from "@servable/tuning";
import { shownValue } from "../domain/study/spec-paths.ts";
import type { StudyDraft } from "../domain/study/study-draft.ts";
import type { PrunerRecord, SamplerRecord, StudyEventRecord, StudyRecord, TrialRecord } from "../domain/study/study-records.ts";
import { required } from "./field-required.ts";
import { numberOf, wordOf } from "./enum-words.ts";
import { crossValidationDraft, crossValidationMessage, specDraft } from "./spec-messages.ts";

const SAMPLERS: readonly (readonly [SamplerRecord["algorithm"], TuningSampler_Algorithm])[] = [
  ["random", TuningSampler_Algorithm.RANDOM],
  ["grid", TuningSampler_Algorithm.GRID],
  ["sobol", TuningSampler_Algorithm.SOBOL],
  ["tpe", TuningSampler_Algorithm.TPE],
];
const PRUNERS: readonly (readonly [PrunerRecord["algorithm"], TuningPruner_Algorithm])[] = [
  ["median", TuningPruner_Algorithm.MEDIAN],
  ["percentile", TuningPruner_Algorithm.PERCENTILE],
  ["asha", TuningPruner_Algorithm.ASHA],
  ["hyperband", TuningPruner_Algorithm.HYPERBAND],
  ["threshold", TuningPruner_Algorithm.THRESHOLD],
];
const DIRECTIONS: readonly (readonly [Direction, TuningObjective_Direction])[] = [
  ["minimize", TuningObjective_Direction.MINIMIZE],
  ["maximize", TuningObjective_Direction.MAXIMIZE],
];
const FINAL_MODELS: readonly (readonly [StudyRecord["finalModel"], TuningStudy_FinalModel])[] = [
  ["best", TuningStudy_FinalModel.BEST],
  ["all_rows", TuningStudy_FinalModel.ALL_ROWS],
  ["none", TuningStudy_FinalModel.NONE],
];

/** What the caller wrote. @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the field */
export function studyDraft({ parent, tuningStudyId, tuningStudy, requestId }: CreateTuningStudyRequest): StudyDraft {
  if (tuningStudy === undefined) throw required("tuning_study");
  if (tuningStudy.spec === undefined) throw required("tuning_study.spec");
  const { spec, objective, sampler, pruner, crossValidation, trialLimits } = tuningStudy;
  const samplerWord = sampler && wordOf(SAMPLERS, sampler.algorithm);
  return {
    parent,
    studyId: tuningStudyId,
    dataset: tuningStudy.dataset,
    model: tuningStudy.model,
    spec: plain(specDraft(spec)),
    specJson: JSON.stringify(toJson(TrainingSpecSchema, spec)),
    parameters: tuningStudy.parameters.map(parameterDraft),
    metric: objective?.metric ?? "",
    direction: objective && wordOf(DIRECTIONS, objective.direction),
    sampler: { ...(samplerWord === undefined ? {} : { algorithm: samplerWord }), ...(sampler === undefined ? {} : { startupTrialCount: sampler.startupTrialCount, gridPointCount: sampler.gridPointCount }) },
    pruner: pruner && prunerDraft(pruner),
    maxTrialCount: tuningStudy.maxTrialCount,
    parallelTrialCount: tuningStudy.parallelTrialCount,
    crossValidation: crossValidation && crossValidationDraft(crossValidation),
    seed: Number(tuningStudy.seed),
    finalModel: wordOf(FINAL_MODELS, tuningStudy.finalModel),
    timeBudgetMs: tuningStudy.timeBudget && durationMs(tuningStudy.timeBudget),
    trialLimits: trialLimits && { ...(trialLimits.runDuration === undefined ? {} : { runMs: durationMs(trialLimits.runDuration) }), memoryBytes: Number(trialLimits.memoryBytes), cost: trialLimits.cost },
    trialSilenceMs: tuningStudy.trialSilenceDuration && durationMs(tuningStudy.trialSilenceDuration),
    priority: tuningStudy.priority,
    labels: tuningStudy.labels,
    requestId,
  };
}

export function studyMessage(study: StudyRecord): TuningStudy {
  const { counts, sampler, pruner, trialLimits } = study;
  return create(TuningStudySchema, {
    name: study.name,
    dataset: study.dataset,
    model: study.model,
    spec: fromJson(TrainingSpecSchema, JSON.parse(study.specJson) as JsonValue),
    parameters: study.parameters.map(parameterMessage),
    objective: { metric: study.metric, direction: numberOf(DIRECTIONS, study.direction) },
    sampler: { ...sampler, algorithm: numberOf(SAMPLERS, sampler.algorithm) },
    ...(pruner === undefined ? {} : { pruner: prunerMessage(pruner) }),
    maxTrialCount: study.maxTrialCount,
    parallelTrialCount: study.parallelTrialCount,
    ...(study.crossValidation === undefined ? {} : { crossValidation: crossValidationMessage(study.crossValidation) }),
    seed: BigInt(study.seed),
    finalModel: numberOf(FINAL_MODELS, study.finalModel),
    ...(study.timeBudgetMs === undefined ? {} : { timeBudget: durationFromMs(study.timeBudgetMs) }),
    ...(trialLimits === undefined
      ? {}
      : { trialLimits: { ...(trialLimits.runMs === undefined ? {} : { runDuration: durationFromMs(trialLimits.runMs) }), memoryBytes: BigInt(trialLimits.memoryBytes), cost: trialLimits.cost } }),
    trialSilenceDuration: durationFromMs(study.trialSilenceMs),
    priority: study.priority,
    labels: { ...study.labels },
    state: TuningStudy_State[study.state],
    failureReason: study.failureReason,
    failureMessage: study.failureMessage,
    trialCounts: { runningCount: counts.RUNNING, completeCount: counts.COMPLETE, prunedCount: counts.PRUNED, failedCount: counts.FAILED, cancelledCount: counts.CANCELLED },
    ...(study.bestTrial === undefined ? {} : { bestTrial: trialMessage(study.bestTrial) }),
    parameterImportances: study.importances.map(({ parameter, importance }) => ({ path: parameter, importance })),
    finalTrainingJob: study.finalJob,
    modelVersion: study.modelVersion,
    datasetDigest: study.datasetDigest,
    creator: study.creator.principal,
    createTime: timestampFromMs(study.createTimeMs),
    ...(study.endTimeMs === undefined ? {} : { endTime: timestampFromMs(study.endTimeMs) }),
  });
}

export function trialMessage(trial: TrialRecord): Trial {
  return create(TrialSchema, {
    number: trial.number,
    state: Trial_State[trial.state],
    values: Object.fromEntries(Object.entries(trial.values).map(([path, value]) => [path, valueMessage(path, value)])),
    ...(trial.objective === undefined ? {} : { objective: trial.objective }),
    reports: trial.reports.map((report) => ({ ...report })),
    foldObjectives: [...trial.foldObjectives],
    trainingJobs: [...trial.jobs],
    failureReason: trial.failureReason,
    failureMessage: trial.failureMessage,
    createTime: timestampFromMs(trial.createTimeMs),
    ...(trial.endTimeMs === undefined ? {} : { endTime: timestampFromMs(trial.endTimeMs) }),
  });
}

export function studyEventMessage({ offset, timeMs, event }: StudyEventRecord): TuningStudyEvent {
  return create(TuningStudyEventSchema, {
    offset: BigInt(offset),
    time: timestampFromMs(timeMs),
    event: event.kind === "study" ? { case: "studyChanged", value: studyMessage(event.study) } : { case: "trialChanged", value: trialMessage(event.trial) },
  });
}

function parameterDraft({ path, domain, conditions }: TuningParameter): Parameter {
  if (path === "") throw required("tuning_study.parameters.path");
  const when = conditions.map(({ parameter, values }) => ({ parameter, oneOf: values.map((value) => choiceOf(path, toJson(ValueSchema, value))) }));
  switch (domain.case) {
    case "range": {
      const { low, high, log, step } = domain.value;
      return { kind: "float", name: path, low, high, log, ...(step === 0 ? {} : { step }), when };
    }
    case "choices":
      return { kind: "categorical", name: path, choices: domain.value.values.map((value) => choiceOf(path, toJson(ValueSchema, value))), when };
    case undefined:
      throw required(`tuning_study.parameters["${path.slice(0, 64)}"].range or choices`);
  }
}

function parameterMessage(parameter: Parameter) {
  const conditions = (parameter.when ?? []).map(({ parameter: parent, oneOf }) => ({ parameter: parent, values: oneOf.map((value) => valueMessage(parent, value)) }));
  if (parameter.kind === "categorical") return { path: parameter.name, domain: { case: "choices" as const, value: { values: parameter.choices.map((choice) => valueMessage(parameter.name, choice)) } }, conditions };
  const { low, high, log = false, step = 0 } = parameter;
  return { path: parameter.name, domain: { case: "range" as const, value: { low, high, log, step } }, conditions };
}

function prunerDraft(pruner: TuningPruner): StudyDraft["pruner"] {
  const { startupTrialCount, warmupStepCount, percentile, minResource, maxResource, reductionFactor, lower, upper } = pruner;
  const algorithm = wordOf(PRUNERS, pruner.algorithm);
  return algorithm && { algorithm, startupTrialCount, warmupStepCount, percentile, minResource, maxResource, reductionFactor, lower, upper };
}

function prunerMessage({ lower, upper, ...pruner }: PrunerRecord) {
  return { ...pruner, algorithm: numberOf(PRUNERS, pruner.algorithm), ...(lower === undefined ? {} : { lower }), ...(upper === undefined ? {} : { upper }) };
}

function choiceOf(path: string, value: JsonValue): ParameterValue {
  if (typeof value === "number" || typeof value === "string" || typeof value === "boolean") return value;
  if (Array.isArray(value) && value.every((each) => typeof each === "number" || typeof each === "string")) return value;
  throw new StatusError("FIELD_INVALID", `tuning_study.parameters["${path.slice(0, 64)}"] has the choice ${JSON.stringify(value).slice(0, 100)}: a choice is a number, a word, a truth or a list of numbers or words`, {
    metadata: { field: "tuning_study.parameters", path },
  });
}

function valueMessage(path: string, value: ParameterValue): Value {
  return fromJson(ValueSchema, shownValue(path, value) as JsonValue);
}

/** Without the messages inside: what is stored is plain. */
function plain<T>(draft: T): T {
  return JSON.parse(JSON.stringify(draft, (key, value: unknown) => (key === "$typeName" || key === "$unknown" ? undefined : value))) as T;
}
