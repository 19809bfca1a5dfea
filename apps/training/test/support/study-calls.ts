import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Trial_State, TuningStudySchema, TuningStudy_State, type Trial, type TuningStudy } from "@servable/contracts/training/v1/tuning_study";
import { DATASET, type Harness } from "./harness.ts";

/** Search over the learning rate, which every family has. */
export const RATE = { path: "learning_rate", domain: { case: "range", value: { low: 1e-4, high: 1, log: true } } } as const;

/** Creates a study on {@link DATASET} that predicts column "b". */
export function createStudy(harness: Harness, id: string, study: Exclude<MessageInitShape<typeof TuningStudySchema>, TuningStudy>): Promise<TuningStudy> {
  return harness.client().createTuningStudy({ parent: "projects/p", tuningStudyId: id, tuningStudy: create(TuningStudySchema, { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "b" }, parameters: [RATE], ...study }) });
}

/** Follows a study to its end and answers it with its trials. */
export async function endOfStudy(harness: Harness, { name }: Pick<TuningStudy, "name">): Promise<{ study: TuningStudy; trials: Trial[] }> {
  for await (const _event of harness.client().watchTuningStudy({ name })) continue;
  const { trials } = await harness.client().listTrials({ parent: name, pageSize: 1000 });
  return { study: await harness.client().getTuningStudy({ name }), trials };
}

export const stateOf = ({ state }: TuningStudy): string => TuningStudy_State[state];
export const statesOf = (trials: readonly Trial[]): string[] => trials.map(({ state }) => Trial_State[state]);

/** A trial's value at a path, as JSON would have it. */
export function valueAt(trial: Trial | undefined, path: string): unknown {
  const kind = trial?.values[path]?.kind;
  return kind?.case === "listValue" ? kind.value.values.map((value) => value.kind.value) : kind?.value;
}
