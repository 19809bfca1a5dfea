import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { TestPlatform } from "../src/test-platform.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const blocks = [...readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
const commands = blocks.flatMap((block) => block.trim().split("\n"));

describe("the README", () => {
  let platform: TestPlatform;
  before(async () => {
    platform = await TestPlatform.create();
  });
  after(() => platform[Symbol.asyncDispose]());

  it("begins with the commands that are run elsewhere in the checks", () => assert.deepEqual(commands.slice(0, 3), ["npm ci", "npm run quickstart", "npm start"]));

  for (const command of commands.slice(3)) {
    it(`tells the truth of: ${command.slice(0, 100)}`, { timeout: 120_000 }, () => {
      // The platform of this test stands on free ports and a folder of its own; all else is as written.
      const here = command.replace(".servable/admin-key", join(platform.dataDir, "admin-key")).replace("http://127.0.0.1:8000", platform.platform.httpAddress.replace(/^(?!http)/, "http://")).replace(/^curl -s/, "curl -sf");

      const output = execFileSync("sh", ["-c", here], { cwd: ROOT, encoding: "utf8", env: { ...process.env, SERVABLE_DATA_DIR: platform.dataDir } });

      assert.notEqual(output.trim(), "");
    });
  }

  it("runs its quickstart to the end", { timeout: 240_000 }, () => {
    const output = execFileSync("npm", ["run", "--silent", "quickstart"], { cwd: ROOT, encoding: "utf8" });

    assert.match(output, /What to try next/);
  });
});
