// Every operator through the API. All 1,884 tests take a quarter of an hour on two cores, so a run takes a sample for
// SERVABLE_CONFORMANCE_SECONDS (40); SERVABLE_CONFORMANCE=all takes them all, SERVABLE_SEED repeats a sample.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { seededRandom, sharedAsset, skipWithout, tempDir, unpackNodeTests, type NodeTestCase } from "@servable/testing";
import expectedFailures from "../src/conformance/expected-failures.json" with { type: "json" };
import { runNodeTest } from "../src/conformance/run-node-test.ts";
import { TestPlatform } from "../src/test-platform.ts";

const ARCHIVE = "assets/onnx-conformance/onnx-1.23.1-node-tests.tar.xz";
const TEST_COUNT = 1_884;
const CONCURRENCY = 4;
const ALL = process.env["SERVABLE_CONFORMANCE"] === "all";
const SAMPLE_MS = 1_000 * Number(process.env["SERVABLE_CONFORMANCE_SECONDS"] ?? 40);
const EXPECTED = new Map(Object.entries(expectedFailures).flatMap(([reason, names]) => names.map((name) => [name, reason] as const)));

describe("the ONNX node tests through the API", { timeout: ALL ? 3_600_000 : SAMPLE_MS + 120_000, skip: skipWithout(ARCHIVE) }, () => {
  const random = seededRandom(process.env["SERVABLE_SEED"] === undefined ? undefined : Number(process.env["SERVABLE_SEED"]));
  const directory = tempDir();
  let platform: TestPlatform;
  let cases: NodeTestCase[];
  before(async () => {
    cases = unpackNodeTests(sharedAsset(ARCHIVE) ?? "", directory.path);
    platform = await TestPlatform.create({ trace: false });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  /** Runs cases until none is left or the time is over; answers complaints. */
  const runAll = async (chosen: readonly NodeTestCase[], judge: (test: NodeTestCase) => Promise<string | undefined>): Promise<{ count: number; complaints: string[] }> => {
    const queue = random.shuffled(chosen);
    const complaints: string[] = [];
    const endMs = Date.now() + SAMPLE_MS;
    let count = 0;
    const work = async (): Promise<void> => {
      while (ALL || Date.now() < endMs) {
        const test = queue.pop();
        if (test === undefined) return;
        const complaint = await judge(test);
        if (complaint !== undefined) complaints.push(`${test.name}: ${complaint}`);
        count++;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
    return { count, complaints };
  };

  it("are complete, and every expected failure is one of them", () => {
    assert.equal(cases.length, TEST_COUNT);
    const names = new Set(cases.map(({ name }) => name));
    assert.deepEqual([...EXPECTED.keys()].filter((name) => !names.has(name)), []);
  });

  it("give the expected outputs", async (context) => {
    const { count, complaints } = await runAll(cases.filter(({ name }) => !EXPECTED.has(name)), async (test) => {
      const outcome = await runNodeTest(platform.client, test);
      return outcome.kind === "passed" ? undefined : outcome.message;
    });

    context.diagnostic(`${count} of ${TEST_COUNT - EXPECTED.size} ran, seed ${random.seed}`);
    assert.deepEqual(complaints, [], `seed ${random.seed}`);
    assert.ok(count >= CONCURRENCY);
  });

  it("that cannot be served are refused for what they are", { skip: !ALL && "only with SERVABLE_CONFORMANCE=all" }, async () => {
    const { complaints } = await runAll(cases.filter(({ name }) => EXPECTED.has(name)), async (test) => {
      const outcome = await runNodeTest(platform.client, test);
      if (outcome.kind === "passed") return "passes now: take it off the list of expected failures";
      return ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "DIFFERENT"].includes(outcome.code) ? undefined : `${outcome.code}: ${outcome.message}`;
    });

    assert.deepEqual(complaints, []);
  });
});
