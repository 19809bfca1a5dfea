import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/dist", "**/gen", "**/*.d.ts", "apps/*/bin", "eslint.config.mjs"] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Handlers are async by contract, whether they wait or not.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/no-floating-promises": [
        "error",
        {
          allowForKnownSafeCalls: [
            { from: "package", package: "node:test", name: ["describe", "it", "before", "after", "beforeEach", "afterEach", "test"] },
          ],
        },
      ],
    },
  },
  {
    // The domain knows nouns and rules, not wires: it is tested without a server and survives a change of transport.
    files: ["apps/*/src/domain/**"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            { group: ["@grpc/*", "@opentelemetry/*", "onnxruntime-node", "fastify"], message: "The domain does not know transports." },
            { group: ["**/rpc/*", "**/http/*", "**/server.ts", "**/main.ts", "**/config.ts"], message: "The domain imports stores' interfaces and core libraries only." },
          ],
        },
      ],
    },
  },
);
