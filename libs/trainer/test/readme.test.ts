import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

for (const folder of [".", "libs/trainer", "libs/optim", "libs/weights"]) {
  describe(`the README of ${folder}`, () => {
    it("shows a script that runs as it stands and says what it says", () => {
      const readme = readFileSync(new URL(`../../../${folder}/README.md`, import.meta.url), "utf8");
      const script = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
      const wanted = [...script.matchAll(/console\.log\(.*\/\/ (.*)/g)].map(([, text = ""]) => text);

      const output = execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", script], { cwd: new URL("..", import.meta.url).pathname, encoding: "utf8" });

      assert.ok(wanted.length > 0);
      assert.deepEqual(output.trim().split("\n"), wanted);
    });
  });
}
