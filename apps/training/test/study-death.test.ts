import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { TuningStudy_FinalModel, type Trial } from "@servable/contracts/training/v1/tuning_study";
import { seededRandom } from "@servable/testing";
import { startHarness } from "./support/harness.ts";
import { createStudy, endOfStudy, RATE, stateOf } from "./support/study-calls.ts";
import { surfaceExecutor } from "./support/surface-executor.ts";

const SERVICE = fileURLToPath(new URL("./support/studying-service.ts", import.meta.url));
const TRIALS = 12;
const KILLS = 2;

describe("a study whose service is killed", () => {
  it("goes on as if nothing had happened: the same trials, the same objectives, each job once", async () => {
    const random = seededRandom(5);
    const { execute } = surfaceExecutor({ loss: ({ learningRate }) => (Math.log10(learningRate) + 2) ** 2, looks: 2 });
    await using harness = await startHarness({ execute });
    await harness.upload("rows", { data: "a,b\n1,yes\n2,no\n3,yes\n" });
    const settings = { maxTrialCount: TRIALS, seed: 9n, finalModel: TuningStudy_FinalModel.NONE, parameters: [RATE, { ...RATE, path: "weight_decay" }] };
    const undisturbed = await endOfStudy(harness, await createStudy(harness, "undisturbed", settings));
    await harness.stop();

    let service = await started(harness.config);
    const { name } = await createStudy(harness, "killed", settings);
    for (let kill = 0; kill < KILLS; kill++) {
      const events = 4 + random.below(12);
      let seen = 0;
      for await (const _event of harness.client().watchTuningStudy({ name })) if (++seen === events + 12 * kill) break;
      service.kill("SIGKILL");
      await once(service, "exit");
      service = await started(harness.config);
    }
    const { study, trials } = await endOfStudy(harness, { name });

    const known = ({ number, values, objective }: Trial) => ({ number, values, objective });
    assert.equal(stateOf(study), "SUCCEEDED");
    assert.deepEqual(trials.map(known), undisturbed.trials.map(known));
    const { trainingJobs } = await harness.client().listTrainingJobs({ parent: "projects/p", pageSize: 1000 });
    assert.equal(trainingJobs.filter(({ tuningStudy }) => tuningStudy === name).length, TRIALS);
    service.kill("SIGKILL");
    await once(service, "exit");
  });
});

async function started(config: unknown): Promise<ChildProcess> {
  const child = fork(SERVICE, [JSON.stringify(config)], { env: { PATH: process.env["PATH"], SERVABLE_LOG_LEVEL: "silent" } });
  await once(child, "message");
  return child;
}
