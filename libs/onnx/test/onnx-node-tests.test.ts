// The ONNX backend node tests, taken into a graph, written again and run: what we write means what the file meant. A run takes
// a sample; SERVABLE_CONFORMANCE=all takes all 1,884, in half a minute. SERVABLE_SEED repeats a sample.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom, sharedAsset, skipWithout, tempDir, unpackNodeTests } from "@servable/testing";
import expectedFailures from "./expected-failures.json" with { type: "json" };
import { ARCHIVE, runImported } from "./run-imported.ts";

const TEST_COUNT = 1_884;
const SAMPLE = 120;
const ALL = process.env["SERVABLE_CONFORMANCE"] === "all";
const EXPECTED = new Set(Object.values(expectedFailures).flat());

describe("the ONNX node tests, imported and written again", { skip: skipWithout(ARCHIVE) }, () => {
  const random = seededRandom(process.env["SERVABLE_SEED"] === undefined ? undefined : Number(process.env["SERVABLE_SEED"]));

  it("give the expected outputs", async (context) => {
    using directory = tempDir();
    const cases = unpackNodeTests(sharedAsset(ARCHIVE) ?? "", directory.path);
    const chosen = ALL ? cases : random.shuffled(cases.filter(({ name }) => !EXPECTED.has(name))).slice(0, SAMPLE);
    const complaints: string[] = [];

    for (const test of chosen) {
      const failure = await runImported(test);
      if (failure !== undefined && !EXPECTED.has(test.name)) complaints.push(`${test.name}: ${failure.stage}: ${failure.message}`);
      if (failure === undefined && EXPECTED.has(test.name)) complaints.push(`${test.name} passes now: take it off the list of expected failures`);
    }

    context.diagnostic(`${chosen.length} of ${cases.length} ran, ${EXPECTED.size} are expected to fail, seed ${random.seed}`);
    assert.deepEqual(complaints, [], `seed ${random.seed}`);
    assert.equal(cases.length, TEST_COUNT);
    assert.deepEqual([...EXPECTED].filter((name) => !cases.some((test) => test.name === name)), []);
  });
});
