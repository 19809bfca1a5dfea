import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { openDatabase, type Database } from "@servable/storage";
import { testDatabases } from "@servable/testing";
import { createApiKeyStore, type ApiKey } from "./api-key-store.ts";
import { createProjectStore } from "./project-store.ts";
import { GATEWAY_MIGRATIONS, GATEWAY_NAMESPACE, type GatewaySchema } from "./schema.ts";
import { createUsageStore, type UsageRecord } from "./usage-store.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;
const key = (id: string, hash = id): ApiKey => ({ projectId: "p", id, hash: hash.padEnd(64, "0"), prefix: "sv_abc", role: "developer", displayName: "Key", createTimeMs: 1_700_000_000_000, expireTimeMs: 1_800_000_000_000, lastUseTimeMs: undefined });
const record = (id: string, projectId = "p"): UsageRecord => ({ id, requestId: "r", projectId, apiKey: "projects/p/apiKeys/a", model: "m", modelVersion: "", operation: "ModelInfer", unit: "inference", unitCount: 1, outcome: "OK", sizeBytes: 2 ** 40, durationUs: 5, timeMs: 1_700_000_000_000 });

const { databases, stop } = await testDatabases();
after(stop);
for (const kind of databases) {
  const { name, skip } = kind;
  describe(`the gateway's stores on ${name}`, { skip }, () => {
    const open = async (): Promise<Database<GatewaySchema>> => {
      const opened = await openDatabase<GatewaySchema>({ url: await kind.freshUrl(), namespace: GATEWAY_NAMESPACE, migrations: GATEWAY_MIGRATIONS });
      await createProjectStore(opened).create({ id: "p", displayName: "P", createTimeMs: 1 });
      return opened;
    };

    it("keep projects, once each, and list them by id", async () => {
      await using database = await open();
      const projects = createProjectStore(database);
      await projects.ensure({ id: "p", displayName: "another", createTimeMs: 2 });
      await projects.create({ id: "a", displayName: "", createTimeMs: 3 });

      assert.deepEqual(await projects.list(10), [{ id: "a", displayName: "", createTimeMs: 3 }, { id: "p", displayName: "P", createTimeMs: 1 }]);
      assert.deepEqual((await projects.list(1, "a")).map(({ id }) => id), ["p"]);
      await assert.rejects(projects.create({ id: "a", displayName: "", createTimeMs: 3 }), reason("ALREADY_EXISTS"));
      await assert.rejects(projects.get("x"), reason("PROJECT_NOT_FOUND"));
    });

    it("find a key by its hash as it was stored, until it is revoked", async () => {
      await using database = await open();
      const keys = createApiKeyStore(database);
      await keys.create(key("a"));
      await keys.touch("p", "a", 1_700_000_060_000);

      assert.deepEqual(await keys.findByHash(key("a").hash), { ...key("a"), lastUseTimeMs: 1_700_000_060_000 });
      await keys.revoke("p", "a", 5);

      assert.equal(await keys.findByHash(key("a").hash), undefined);
      assert.deepEqual(await keys.list("p", 10), []);
      await assert.rejects(keys.revoke("p", "a", 6), reason("API_KEY_NOT_FOUND"));
      await assert.rejects(keys.get("p", "a"), reason("API_KEY_NOT_FOUND"));
    });

    it("refuse a second key with the same id or secret", async () => {
      await using database = await open();
      const keys = createApiKeyStore(database);
      await keys.create(key("a"));

      await assert.rejects(keys.create(key("a", "other")), reason("ALREADY_EXISTS"));
      await assert.rejects(keys.create(key("b", "a")), reason("ALREADY_EXISTS"));
    });

    it("keep a revoked first key revoked over restarts, unless its secret changes", async () => {
      await using database = await open();
      const keys = createApiKeyStore(database);
      assert.equal(await keys.ensure(key("boot", "one")), true);
      assert.equal(await keys.ensure(key("boot", "one")), true);
      await keys.revoke("p", "boot", 5);

      assert.equal(await keys.ensure(key("boot", "one")), false);
      assert.equal(await keys.findByHash(key("boot", "one").hash), undefined);
      assert.equal(await keys.ensure(key("boot", "two")), true);
      assert.equal((await keys.findByHash(key("boot", "two").hash))?.id, "boot");
    });

    it("count a usage record once however often its batch is sent, newest first, by project", async () => {
      await using database = await open();
      const usage = createUsageStore(database);
      const many = Array.from({ length: 1_200 }, (_, index) => record(`id-${String(index).padStart(5, "0")}`));
      await usage.add(many);
      await usage.add([...many.slice(0, 10), record("id-99999", "other")]);
      await usage.add([]);

      const newest = await usage.list("p", 2);
      assert.deepEqual(newest, [record("id-01199"), record("id-01198")]);
      assert.equal((await usage.list("p", 2_000)).length, 1_200);
      assert.deepEqual((await usage.list("p", 1, "id-00001")).map(({ id }) => id), ["id-00000"]);
    });
  });
}
