import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, it } from "node:test";
import { errorsReference } from "./generate-reference.ts";
import { metricsReference } from "./metrics-reference.ts";
import { ROOT, readWorkspace } from "./workspace.ts";

/** Above this a newcomer loses the thread: it is two files. */
const FILE_LINES_MAX = 500;

const tracked = execFileSync("git", ["ls-files"], { cwd: ROOT, encoding: "utf8" })
  .trim()
  .split("\n")
  .filter((path) => existsSync(join(ROOT, path)));
const handwritten = tracked.filter(
  (path) => /\.(ts|mjs|proto|py|go)$/.test(path) && !/\/gen\//.test(path) && !path.startsWith("proto/third_party/"),
);
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

describe("the tree", () => {
  it("has no hand-written source above the line limit", () => {
    const long = handwritten.filter((path) => path.endsWith(".ts") && read(path).split("\n").length > FILE_LINES_MAX);

    assert.deepEqual(long, []);
  });

  it("has no names that say nothing", () => {
    assert.deepEqual(
      tracked.filter((path) => /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$)/.test(path)),
      [],
    );
  });

  it("has no focused test and no TODO without an issue", () => {
    const focused = /\b(it|describe|test)\.only\(/;
    const orphan = /\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))/;
    const found = handwritten.filter(
      (path) => path !== "tools/tidy.test.ts" && (focused.test(read(path)) || orphan.test(read(path))),
    );

    assert.deepEqual(found, []);
  });

  it("gives every package a README", () => {
    assert.deepEqual(
      readWorkspace()
        .filter((entry) => !existsSync(join(ROOT, entry.folder, "README.md")))
        .map((entry) => entry.folder),
      [],
    );
  });
});

describe("the documents", () => {
  it("link only to what exists", () => {
    const dead: string[] = [];
    for (const path of tracked.filter((name) => name.endsWith(".md"))) {
      for (const [, target = ""] of read(path).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        if (!existsSync(resolve(ROOT, dirname(path), target))) dead.push(`${path}: ${target}`);
      }
    }

    assert.deepEqual(dead, []);
  });

  it("list every reason of the table of errors", () => {
    assert.equal(
      read("docs/reference/errors.md"),
      errorsReference(),
      "run `node tools/generate-reference.ts` through npx",
    );
  });

  it("list every metric", () => {
    assert.equal(read("docs/reference/metrics.md"), metricsReference(), "run `node tools/generate-reference.ts` through npx");
  });

  it("tell of every setting", () => {
    const documents = tracked.filter((path) => path.endsWith(".md")).map(read).join("\n");
    const settings = new Set(handwritten.filter((path) => /^(apps|libs)\/[^/]+\/src\//.test(path)).flatMap((path) => [...read(path).matchAll(/"(SERVABLE_[A-Z_]+)"/g)].map(([, name = ""]) => name)));

    assert.deepEqual([...settings].filter((name) => !new RegExp(`\\b${name}\\b`).test(documents)).sort(), []);
  });
});
