import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ESLint } from "eslint";
import { findViolations, readSources } from "./boundaries.ts";
import { ROOT, readWorkspace } from "./workspace.ts";

const packages = readWorkspace();
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  devDependencies: Record<string, string>;
};
const rootDev = new Set(Object.keys(manifest.devDependencies));
const sources = readSources(
  ROOT,
  globSync("{apps,libs}/*/{src,test,bench,bin}/**/*.{ts,mjs}", { cwd: ROOT }).filter(
    (path) => !/\/(gen|dist)\//.test(path),
  ),
);

describe("boundaries", () => {
  it("holds in the whole tree", () => {
    assert.ok(sources.length > 0, "no source was read");
    assert.deepEqual(findViolations(packages, sources, rootDev), []);
  });

  const planted = [
    {
      path: "libs/errors/src/x.ts",
      text: `import { createClient } from "@servable/grpc";`,
      says: /layer core must not import @servable\/grpc/,
    },
    {
      path: "libs/tensor/src/x.ts",
      text: `import ort from "onnxruntime-node";`,
      says: /core must not import "onnxruntime-node"/,
    },
    {
      path: "libs/tensor/src/x.ts",
      text: `import { readFileSync } from "node:fs";`,
      says: /core must not import "node:fs"/,
    },
    {
      path: "apps/gateway/src/x.ts",
      text: `import { startServer } from "@servable/training";`,
      says: /layer app must not import @servable\/training/,
    },
    {
      path: "apps/gateway/src/x.ts",
      text: `const x = await import("@servable/inference");`,
      says: /layer app must not import @servable\/inference/,
    },
    {
      path: "libs/grpc/src/x.ts",
      text: `export * from "../../../apps/gateway/src/index.ts";`,
      says: /leaves the package/,
    },
    {
      path: "libs/grpc/src/x.ts",
      text: `import leftPad from "left-pad";`,
      says: /"left-pad" is not in libs\/grpc\/package.json/,
    },
    {
      path: "libs/grpc/src/x.ts",
      text: `import { tempDir } from "@servable/testing";`,
      says: /layer platform must not import @servable\/testing/,
    },
  ];
  for (const { path, text, says } of planted) {
    it(`refuses ${text} in ${path}`, () => {
      const violations = findViolations(packages, [{ path, text }], rootDev);

      assert.match(violations.join("\n"), says);
    });
  }

  it("refuses a cycle", () => {
    const violations = findViolations(
      packages,
      [
        { path: "libs/tensor/src/x.ts", text: `import "@servable/onnx";` },
        { path: "libs/onnx/src/x.ts", text: `import "@servable/tensor";` },
      ],
      rootDev,
    );

    assert.match(violations.join("\n"), /cycle: @servable\/tensor → @servable\/onnx → @servable\/tensor/);
  });

  it("refuses a dependency that nothing imports", () => {
    const violations = findViolations(
      [
        {
          name: "@servable/x",
          folder: "libs/x",
          layer: "core",
          dependencies: new Set(["kysely"]),
          devDependencies: new Set(),
        },
      ],
      [],
      rootDev,
    );

    assert.deepEqual(violations, ['libs/x/package.json: nothing imports "kysely"; remove it']);
  });

  for (const text of [`import "@grpc/grpc-js";\n`, `import "../rpc/training-service.ts";\n`]) {
    it(`refuses ${text.trim()} in a service's domain`, async () => {
      const eslint = new ESLint({
        cwd: ROOT,
        overrideConfig: {
          languageOptions: { parserOptions: { projectService: { allowDefaultProject: ["apps/*/src/domain/*.ts"] } } },
        },
      });
      const [result] = await eslint.lintText(text, { filePath: join(ROOT, "apps/training/src/domain/planted.ts") });

      assert.ok(
        result?.messages.some((message) => message.ruleId === "no-restricted-imports"),
        JSON.stringify(result?.messages),
      );
    });
  }
});
