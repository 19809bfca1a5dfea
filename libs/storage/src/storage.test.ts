import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { tempDir, testDatabases } from "@servable/testing";
import type { Migration } from "kysely/migration";
import { isUniqueViolation, openDataDir, openDatabase, openFileBlobStore, readOrCreateSecret } from "./index.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;

interface Schema {
  item: { id: string; size: number; note: string | null };
}
const FIRST: Record<string, Migration> = {
  "0001_item": {
    up: (db) => db.schema.createTable("item").addColumn("id", "varchar(100)", (column) => column.primaryKey()).addColumn("size", "bigint", (column) => column.notNull()).addColumn("note", "text").execute(),
  },
};

const { databases, stop } = await testDatabases();
after(stop);
for (const testDatabase of databases) {
  const { name, skip } = testDatabase;
  const freshUrl = () => testDatabase.freshUrl();
  describe(`database on ${name}`, { skip }, () => {
    it("keeps rows, numbers above 32 bits and nulls over a reopening", async () => {
      const url = await freshUrl();
      {
        await using database = await openDatabase<Schema>({ url, namespace: "t", migrations: FIRST });
        await database.sql.insertInto("item").values({ id: "a", size: 2 ** 40, note: null }).execute();
      }
      await using database = await openDatabase<Schema>({ url, namespace: "t", migrations: FIRST });

      assert.deepEqual({ ...(await database.sql.selectFrom("item").selectAll().executeTakeFirstOrThrow()) }, { id: "a", size: 2 ** 40, note: null });
    });

    it("tells a duplicate from other failures", async () => {
      await using database = await openDatabase<Schema>({ url: await freshUrl(), namespace: "t", migrations: FIRST });
      const insert = () => database.sql.insertInto("item").values({ id: "a", size: 1, note: null }).execute();
      await insert();

      await assert.rejects(insert(), isUniqueViolation);
    });

    it("undoes a transaction that throws", async () => {
      await using database = await openDatabase<Schema>({ url: await freshUrl(), namespace: "t", migrations: FIRST });

      await assert.rejects(
        database.sql.transaction().execute(async (transaction) => {
          await transaction.insertInto("item").values({ id: "a", size: 1, note: null }).execute();
          throw new Error("no");
        }),
        /no/,
      );
      assert.deepEqual(await database.sql.selectFrom("item").selectAll().execute(), []);
    });

    it("lets several openers migrate at once", async () => {
      const url = await freshUrl();

      const opened = await Promise.all([1, 2, 3, 4].map(() => openDatabase<Schema>({ url, namespace: "t", migrations: FIRST })));
      await Promise.all(opened.map((database) => database[Symbol.asyncDispose]()));
    });

    it("refuses a schema of a newer version", async () => {
      const url = await freshUrl();
      await (await openDatabase<Schema>({ url, namespace: "t", migrations: { ...FIRST, "0002_future": { up: async () => {} } } }))[Symbol.asyncDispose]();

      await assert.rejects(openDatabase<Schema>({ url, namespace: "t", migrations: FIRST }), reason("DATA_DIR_NEWER"));
    });
  });
}

describe("database", () => {
  it("answers DATABASE_UNAVAILABLE when nobody listens and CONFIG_INVALID for a strange URL", async () => {
    await assert.rejects(openDatabase<Schema>({ url: "postgres://x@127.0.0.1:1/x", namespace: "t", migrations: FIRST }), reason("DATABASE_UNAVAILABLE"));
    await assert.rejects(openDatabase<Schema>({ url: "mysql://x", namespace: "t", migrations: FIRST }), reason("CONFIG_INVALID"));
  });
});

describe("blob store", () => {
  const bytes = Buffer.from("some bytes that are stored");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  async function* chunks() {
    yield bytes.subarray(0, 5);
    yield bytes.subarray(5);
  }
  const collect = async (parts: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await Array.fromAsync(parts));

  it("keeps bytes under their digest and reads from an offset", async () => {
    using directory = tempDir();
    const store = await openFileBlobStore(directory.path);

    assert.deepEqual(await store.put(chunks(), { sha256, sizeBytes: bytes.length }), { sha256, sizeBytes: bytes.length });
    assert.deepEqual(await collect(store.read(sha256)), bytes);
    assert.deepEqual(await collect(store.read(sha256, { offsetBytes: 5 })), bytes.subarray(5));
    assert.equal(await store.sizeOf(sha256), bytes.length);
  });

  const refused = [
    { what: "another digest", expected: { sha256: "0".repeat(64) }, reason: "ARTIFACT_DIGEST_MISMATCH" },
    { what: "another size", expected: { sizeBytes: 3 }, reason: "ARTIFACT_DIGEST_MISMATCH" },
    { what: "too many bytes", expected: { bytesMax: 10 }, reason: "ARTIFACT_TOO_LARGE" },
  ] as const;
  for (const { what, expected, reason: want } of refused) {
    it(`keeps nothing of an upload with ${what}`, async () => {
      using directory = tempDir();
      const store = await openFileBlobStore(directory.path);

      await assert.rejects(store.put(chunks(), expected), reason(want));
      assert.deepEqual(readdirSync(directory.path, { recursive: true }), ["tmp"]);
    });
  }

  it("notices bytes that changed on disk", async () => {
    using directory = tempDir();
    const store = await openFileBlobStore(directory.path);
    await store.put(chunks());
    writeFileSync(store.path(sha256), "other bytes that were stored");

    await assert.rejects(collect(store.read(sha256)), reason("ARTIFACT_CORRUPT"));
  });

  it("removes what a dead process left, not what a living one writes", async () => {
    using directory = tempDir();
    await openFileBlobStore(directory.path);
    writeFileSync(join(directory.path, "tmp", "999999999-x"), "");
    writeFileSync(join(directory.path, "tmp", `${process.pid}-y`), "");

    await openFileBlobStore(directory.path);

    assert.deepEqual(readdirSync(join(directory.path, "tmp")), [`${process.pid}-y`]);
  });

  it("takes no path for a digest", async () => {
    using directory = tempDir();
    const store = await openFileBlobStore(directory.path);

    await assert.rejects(collect(store.read("../../etc/passwd")), reason("ARTIFACT_NOT_FOUND"));
  });
});

describe("data directory", () => {
  it("gives every comer the same secret", async () => {
    using directory = tempDir();
    const path = join(directory.path, "secret");

    assert.equal(readOrCreateSecret(path), readOrCreateSecret(path));
  });

  it("refuses one of a newer version and one that is a file", () => {
    using directory = tempDir();
    openDataDir(directory.path);
    writeFileSync(join(directory.path, "servable.json"), '{"formatVersion": 99}');

    assert.throws(() => openDataDir(directory.path), reason("DATA_DIR_NEWER"));
    assert.throws(() => openDataDir(join(directory.path, "servable.json")), reason("DATA_DIR_UNUSABLE"));
  });
});
