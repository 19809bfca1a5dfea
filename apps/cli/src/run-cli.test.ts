import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { tempDir } from "@servable/testing";
import { runCli } from "./run-cli.ts";

async function run(args: string[], env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const code = await runCli(args, { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) }, env });
  return { code, out, err };
}

describe("command line", () => {
  const commands = [["up"], ["quickstart"], ["status"], ["models"], ["models", "import"], ["deploy"], ["undeploy"], ["predict"], ["train"], ["datasets"], ["jobs"], ["studies"], ["studies", "create"], ["keys"], ["projects"], ["trace"]];
  for (const command of commands) {
    it(`teaches ${command.join(" ")} by an example`, async () => {
      const { code, out } = await run([...command, "--help"]);

      assert.equal(code, 0);
      assert.match(out, /Examples?:\n {2}\$ /);
    });
  }

  const wrong = [
    { args: ["train", "--epochs", "many"], says: /--epochs.*whole number from 1/ },
    { args: ["keys", "create", "--role", "king"], says: /Allowed choices are user, developer, admin/ },
    { args: ["models", "import", "x.onnx"], says: /--name/ },
    { args: ["deplooy"], says: /unknown command 'deplooy'/ },
  ];
  for (const { args, says } of wrong) {
    it(`answers ${args.join(" ")} with exit code 64 and where to read on`, async () => {
      const { code, err } = await run(args);

      assert.equal(code, 64);
      assert.match(err, says);
      assert.match(err, /^servable: /);
      assert.match(err, /--help/);
    });
  }

  it("says in one line that no platform answers, and how to start one", async () => {
    const { code, err } = await run(["models", "list", "--address", "127.0.0.1:1", "--data-dir", "/nonexistent"]);

    assert.equal(code, 69);
    assert.match(err, /^servable: no platform answers at 127\.0\.0\.1:1: start one with `npm start`.*\(SERVICE_UNAVAILABLE\)\n$/);
  });

  it("writes failures as JSON for scripts", async () => {
    const { code, err } = await run(["predict", "m", "--data-dir", "/nonexistent", "--json"]);

    assert.equal(code, 1);
    assert.equal((JSON.parse(err) as { error: { reason: string } }).error.reason, "FIELD_REQUIRED");
  });

  it("refuses a data directory of a newer version with exit code 78 before anything starts", async () => {
    using dir = tempDir();
    writeFileSync(join(dir.path, "servable.json"), '{"formatVersion": 999}');

    const { code, err } = await run(["up", "--data-dir", dir.path]);

    assert.equal(code, 78);
    assert.match(err, /DATA_DIR_NEWER/);
  });

  const bodies = [
    { args: ["island=Biscoe", "mass=4500", "ok=true"], body: { instances: [{ island: "Biscoe", mass: 4500, ok: true }] } },
    { args: ["--json", '{"input_data": [1, 2]}'], body: { input_data: [1, 2] } },
    { args: ["--json", '[{"a": 1}]'], body: { instances: [{ a: 1 }] } },
    { args: ["--json", '{"a": 1}'], body: { instances: [{ a: 1 }] } },
    { args: ["--json", "a=1"], body: { instances: [{ a: 1 }] } },
  ];
  for (const { args, body } of bodies) {
    it(`sends predict ${args.join(" ")} as ${JSON.stringify(body)} with the key of the data directory`, async () => {
      using dir = tempDir();
      mkdirSync(join(dir.path, "data"));
      writeFileSync(join(dir.path, "data", "admin-key"), "sv_secret\n");
      const seen: { url?: string | undefined; key?: string | undefined; body?: unknown } = {};
      const server = createServer((request, response) => {
        void (async () => {
          const chunks: Buffer[] = [];
          for await (const chunk of request) chunks.push(chunk as Buffer);
          Object.assign(seen, { url: request.url, key: request.headers.authorization, body: JSON.parse(Buffer.concat(chunks).toString()) as unknown });
          response.end('{"predictions":[{"label":"Gentoo"}]}');
        })();
      }).listen(0, "127.0.0.1");
      await once(server, "listening");

      const { code, out } = await run(["predict", "penguins", ...args, "--http-address", `127.0.0.1:${(server.address() as AddressInfo).port}`, "--data-dir", join(dir.path, "data")]);
      server.close();

      assert.equal(code, 0);
      assert.deepEqual(seen, { url: "/v1/models/penguins:predict", key: "Bearer sv_secret", body });
      assert.match(out, /Gentoo/);
    });
  }
});
