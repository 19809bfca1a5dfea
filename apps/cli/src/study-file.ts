// A study as people write it: the fields of TuningStudy, and shorter forms for what is written most.
//
//   parameters:
//     learning_rate: { low: 1e-4, high: 1, log: true }
//     family: [LOGISTIC_REGRESSION, MLP]
//     hidden_units: { choices: [[32], [64, 32]], when: { family: MLP } }
//   objective: auc          sampler: tpe          pruner: asha          trials: 40          parallel: 4
//   cross_validation: { kind: STRATIFIED, folds: 5 }                    time_budget: 30m

import { TuningStudySchema, type TuningStudy } from "@servable/contracts/training/v1/tuning_study";
import { StatusError } from "@servable/errors";
import { messageFromPlain } from "./message-file.ts";

type Plain = Record<string, unknown>;

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A study from what a file or flags hold. @throws StatusError `FIELD_INVALID` naming the field */
export function studyFromPlain(plain: unknown): TuningStudy {
  if (!isPlain(plain)) throw invalid("study", "a study file holds fields: dataset, model, spec, parameters, …");
  const { parameters, objective, sampler, pruner, trials, parallel, cross_validation: crossValidation, time_budget: timeBudget, trial_silence: silence, ...rest } = plain;
  return messageFromPlain(
    TuningStudySchema,
    {
      ...rest,
      ...(parameters === undefined ? {} : { parameters: isPlain(parameters) ? Object.entries(parameters).map(([path, domain]) => parameterFromPlain(path, domain)) : parameters }),
      ...(objective === undefined ? {} : { objective: typeof objective === "string" ? { metric: objective } : objective }),
      ...(sampler === undefined ? {} : { sampler: typeof sampler === "string" ? { algorithm: sampler } : sampler }),
      ...(pruner === undefined ? {} : { pruner: typeof pruner === "string" ? { algorithm: pruner } : pruner }),
      ...(trials === undefined ? {} : { max_trial_count: trials }),
      ...(parallel === undefined ? {} : { parallel_trial_count: parallel }),
      ...(crossValidation === undefined ? {} : { cross_validation: foldsFromPlain(crossValidation) }),
      ...(timeBudget === undefined ? {} : { time_budget: durationFrom("time_budget", timeBudget) }),
      ...(silence === undefined ? {} : { trial_silence_duration: durationFrom("trial_silence", silence) }),
    },
    "study",
  );
}

/** "1e-4..1:log", "1..8:2" (with a step), "MLP,RESNET" or JSON as a flag has it. @throws StatusError `FIELD_INVALID` */
export function domainFromFlag(path: string, text: string): unknown {
  const range = /^([^.,[{]+(?:\.\d+)?)\.\.([^:]+)(?::(.+))?$/.exec(text);
  if (range !== null) {
    const [low, high] = [Number(range[1]), Number(range[2])];
    const step = range[3] === undefined || range[3] === "log" ? undefined : Number(range[3]);
    if ([low, high, step ?? 0].some(Number.isNaN)) throw invalid(`parameters.${path}`, `"${text}" is no range: write low..high, low..high:log or low..high:step`);
    return { low, high, ...(range[3] === "log" ? { log: true } : {}), ...(step === undefined ? {} : { step }) };
  }
  if (/^[[{]/.test(text)) {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw invalid(`parameters.${path}`, `"${text.slice(0, 100)}" is no JSON`);
    }
  }
  return text.split(",").map((word) => (word.trim() !== "" && !Number.isNaN(Number(word)) ? Number(word) : word === "true" ? true : word === "false" ? false : word.trim()));
}

/** "90s", "30m", "2h" or seconds, as the contract writes a duration. @throws StatusError `FIELD_INVALID` */
export function durationFrom(field: string, value: unknown): string {
  const match = /^(\d+(?:\.\d+)?)\s*([smhd]?)$/.exec(String(value));
  if (match === null) throw invalid(field, `is "${String(value).slice(0, 40)}": write 90s, 30m or 2h`);
  return `${Number(match[1]) * (SECONDS[match[2] || "s"] ?? 1)}s`;
}

function parameterFromPlain(path: string, domain: unknown): Plain {
  if (Array.isArray(domain)) return { path, choices: domain };
  if (!isPlain(domain)) throw invalid(`parameters.${path}`, "needs a list of choices, or low and high");
  const { choices, when, ...range } = domain;
  const conditions = isPlain(when) ? Object.entries(when).map(([parameter, values]) => ({ parameter, values: Array.isArray(values) ? values : [values] })) : [];
  return { path, ...(choices === undefined ? { range } : { choices }), conditions };
}

function foldsFromPlain(folds: unknown): unknown {
  if (typeof folds === "number") return { fold_count: folds };
  if (!isPlain(folds)) return folds;
  const { folds: count, repeats, ...rest } = folds;
  return { ...rest, ...(count === undefined ? {} : { fold_count: count }), ...(repeats === undefined ? {} : { repeat_count: repeats }) };
}

function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${problem}`, { metadata: { field } });
}
