import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { elementsOf, tensorOf } from "@servable/tensor";
import { startPostgres, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

describe("a platform on PostgreSQL", { timeout: 120_000 }, () => {
  it("trains, registers, deploys and serves, with all services in one database, also after a restart", async (context) => {
    const postgres = await startPostgres();
    if (typeof postgres === "string") return context.skip(postgres);
    await using _server = postgres;
    using directory = tempDir();
    await using platform = await TestPlatform.create({ env: { SERVABLE_DATABASE_URL: await postgres.url("servable") } });
    const file = join(directory.path, "points.csv");
    writeFileSync(file, `x,side\n${Array.from({ length: 100 }, (_, index) => `${index % 2 === 0 ? index : -index - 1},${index % 2 === 0 ? "right" : "left"}`).join("\n")}\n`);
    await platform.client.datasets.upload({ dataset: "points", format: Dataset_Format.CSV, files: { data: file } });
    const { name } = await platform.client.training.create({ model: "side", dataset: "points", spec: { targetColumn: "side", epochCount: 200 } });
    for await (const _event of platform.client.training.watch(name.split("/").at(-1) ?? ""));
    await platform.client.deployments.deploy({ model: "side" });
    const labels = async (): Promise<string[]> => {
      const { outputs } = await platform.client.inference.infer({ model: "side", inputs: { x: tensorOf("FP32", [2, 1], [-40, 40]) } });
      return elementsOf(outputs["label"] as ReturnType<typeof tensorOf>).map((value) => new TextDecoder().decode(value as Uint8Array));
    };

    assert.deepEqual(await labels(), ["left", "right"]);
    await platform.restart();
    while ((await labels().catch(() => [])).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(await labels(), ["left", "right"]);
  });
});
