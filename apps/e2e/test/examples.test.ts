import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { addSubModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";
import { prepareGo, preparePython, runGo, runNode, runPython } from "../src/toolchain.ts";

const flags = (platform: TestPlatform): string[] => ["--address", platform.platform.grpcAddress, "--api-key", platform.apiKey, "--model", "simple"];

describe("the examples, as their READMEs say", () => {
  const directory = tempDir();
  let platform: TestPlatform;
  before(async () => {
    platform = await TestPlatform.create();
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file });
    await platform.client.deployments.deploy({ model: "simple" });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });
  const assertOutput = (output: string): void => {
    assert.match(output, /model projects\/default\/models\/simple latest version 1/);
    assert.match(output.replaceAll(/[[\],]/g, " ").replaceAll(/\s+/g, " "), /OUTPUT0 0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30/);
  };

  const cases = [
    { language: "Python", prepare: preparePython, run: (on: TestPlatform) => runPython(flags(on)) },
    { language: "Go", prepare: prepareGo, run: (on: TestPlatform) => runGo(flags(on)) },
    { language: "TypeScript", prepare: () => undefined, run: (on: TestPlatform) => runNode([on.platform.grpcAddress, on.apiKey, "simple"]) },
  ];
  for (const { language, prepare, run } of cases) {
    it(`${language} lists models and runs one with a generated client`, (context) => {
      const missing = prepare();
      if (missing !== undefined) return context.skip(missing);

      assertOutput(run(platform));
    });
  }
});
