import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { versionPolicyOf } from "./load-policy.ts";

describe("the versions that a load asks for", () => {
  const cases = [
    { what: "what the configuration says", config: '{"version_policy":{"specific":{"versions":["2",3]}}}', brought: [1n], want: { choice: { case: "specific", value: { versions: [2n, 3n] } } } },
    { what: "the newest ones", config: '{"version_policy":{"latest":{"num_versions":2}}}', brought: [], want: { choice: { case: "latest", value: { versionCount: 2 } } } },
    { what: "all of them", config: '{"version_policy":{"all":{}}}', brought: [], want: { choice: { case: "all", value: {} } } },
    { what: "those whose files it brought", config: "{}", brought: [4n, 5n], want: { choice: { case: "specific", value: { versions: [4n, 5n] } } } },
    { what: "nothing of them", config: '{"max_batch_size":"16"}', brought: [], want: undefined },
  ];
  for (const { what, config, brought, want } of cases) it(`are ${what}`, () => assert.deepEqual(versionPolicyOf(config, brought), want));

  it("stay as they are without a configuration", () => assert.equal(versionPolicyOf(undefined, []), undefined));
});
