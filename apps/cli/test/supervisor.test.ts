import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import type { ServiceEvent, ServiceSpec } from "../src/supervisor/supervised-service.ts";
import { startSupervisor } from "../src/supervisor/supervisor.ts";

const ENTRY = fileURLToPath(new URL("./fake-service.ts", import.meta.url));

function fake(name: string, journal: string, env: NodeJS.ProcessEnv = {}): ServiceSpec {
  return { name, entry: ENTRY, env: () => ({ ...process.env, FAKE_NAME: name, FAKE_JOURNAL: journal, ...env }) };
}

const linesOf = (path: string): string[] => readFileSync(path, "utf8").trim().split("\n");

describe("supervisor", () => {
  it("is ready when all services are, and stops them from the last group to the first", async () => {
    using dir = tempDir();
    const journal = join(dir.path, "journal");

    const supervisor = await startSupervisor({ groups: [[fake("registry", journal)], [fake("inference", journal)], [fake("gateway", journal)]], logDir: dir.path });
    const ready = supervisor.ready.get("gateway");
    await supervisor[Symbol.asyncDispose]();

    assert.equal(ready?.["address"], "gateway");
    assert.deepEqual(linesOf(journal).slice(-3), ["gateway stopped", "inference stopped", "registry stopped"]);
  });

  it("starts a killed service again and leaves the others alone", async () => {
    using dir = tempDir();
    const journal = join(dir.path, "journal");
    const events: ServiceEvent[] = [];
    const again = Promise.withResolvers<void>();
    const onEvent = (event: ServiceEvent): void => {
      events.push(event);
      if (event.kind === "ready" && event.again) again.resolve();
    };
    await using supervisor = await startSupervisor({ groups: [[fake("a", journal), fake("b", journal)]], logDir: dir.path, onEvent });
    const before = supervisor.pids();

    process.kill(before["a"] ?? 0, "SIGKILL");
    await again.promise;

    assert.notEqual(supervisor.pids()["a"], before["a"]);
    assert.equal(supervisor.pids()["b"], before["b"]);
    assert.deepEqual(events.filter(({ kind }) => kind === "exited").map((event) => ({ ...event })), [{ kind: "exited", service: "a", how: "SIGKILL", waitMs: 100 }]);
  });

  it("gives up at once on a start that cannot succeed, with the service's own reason, and stops the others", async () => {
    using dir = tempDir();
    const journal = join(dir.path, "journal");
    const says = "gateway: 127.0.0.1:8001 is in use: set SERVABLE_GRPC_PORT (PORT_IN_USE)";

    const starting = startSupervisor({ groups: [[fake("registry", journal)], [fake("gateway", journal, { FAKE_EXIT: "69", FAKE_SAYS: says })]], logDir: dir.path });

    await assert.rejects(starting, (error) => error instanceof StatusError && error.reason === "PORT_IN_USE" && error.message === "127.0.0.1:8001 is in use: set SERVABLE_GRPC_PORT");
    assert.match(readFileSync(join(dir.path, "gateway.log"), "utf8"), /is in use/);
  });

  it("tries a start that crashes a few times, then says so", async () => {
    using dir = tempDir();
    const events: ServiceEvent[] = [];

    const starting = startSupervisor({ groups: [[fake("training", join(dir.path, "journal"), { FAKE_EXIT: "1", FAKE_SAYS: "Error: no such module" })]], logDir: dir.path, onEvent: (event) => events.push(event) });

    await assert.rejects(starting, (error) => error instanceof StatusError && error.reason === "SERVICE_UNAVAILABLE" && /training does not start \(Error: no such module\)/.test(error.message));
    assert.equal(events.length, 2);
  });
});
