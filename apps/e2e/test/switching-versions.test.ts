import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { addSubModel, tempDir } from "@servable/testing";
import { startSteadyLoad } from "../src/steady-load.ts";
import { TestPlatform } from "../src/test-platform.ts";

for (const replicas of [1, 2]) {
  describe(`versions that change under load, ${replicas} ${replicas === 1 ? "replica" : "replicas"}`, { timeout: 180_000 }, () => {
    const directory = tempDir();
    const file = join(directory.path, "simple.onnx");
    let platform: TestPlatform;
    const importVersion = async (model: string): Promise<string> => String((await platform.client.models.importFile({ model, file })).number);
    before(async () => {
      writeFileSync(file, addSubModel());
      platform = await TestPlatform.create({ replicas, trace: false });
    });
    after(async () => {
      await platform[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    });

    it("cost no call while newer ones are finalized", async () => {
      await importVersion("latest");
      await platform.client.deployments.deploy({ model: "latest", replicas });
      const load = startSteadyLoad(platform, ["latest"]);
      await load.answered(50);

      let newest = "";
      for (let version = 2; version <= 6; version++) {
        newest = await importVersion("latest");
        await platform.client.deployments.deploy({ model: "latest", replicas });
        await load.answered(30);
      }
      while (!load.answers.has(newest)) await load.answered(1);
      await load.stop();

      assert.deepEqual(load.failures, []);
      assert.ok(load.answers.has("1") && load.answers.has(newest), JSON.stringify([...load.answers]));
      await platform.client.deployments.undeploy("latest");
    });

    it("cost no call while an alias moves forth and back", async () => {
      for (const version of [1, 2]) assert.equal(await importVersion("aliased"), String(version));
      await platform.client.models.setAlias("aliased", "production", "1");
      await platform.client.deployments.deploy({ model: "aliased", alias: "production", replicas });
      const load = startSteadyLoad(platform, ["aliased"]);
      await load.answered(30);

      for (const version of ["2", "1", "2", "1", "2"]) {
        await platform.client.models.setAlias("aliased", "production", version);
        const before = load.answers.get(version) ?? 0;
        while ((load.answers.get(version) ?? 0) < before + 20) await load.answered(1);
      }
      await load.stop();

      assert.deepEqual(load.failures, []);
      await platform.client.deployments.undeploy("aliased");
    });

    it("cost no call while a model's settings change", async () => {
      await importVersion("tuned");
      const deployment = await platform.client.deployments.deploy({ model: "tuned", replicas });
      const load = startSteadyLoad(platform, ["tuned"]);
      await load.answered(30);

      for (const size of [4, 8, 16]) {
        const response = await platform.fetch("/v2/repository/models/tuned/load", { method: "POST", body: JSON.stringify({ parameters: { config: JSON.stringify({ max_batch_size: size }) } }) });
        assert.equal(response.status, 200, await response.text());
        await load.answered(30);
      }
      await load.stop();

      assert.deepEqual(load.failures, []);
      await platform.client.deployments.undeploy(deployment.name.split("/").at(-1) ?? "");
    });
  });
}
