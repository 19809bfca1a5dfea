import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import {
  authorize,
  generateApiKey,
  hashApiKey,
  identityFromMetadata,
  identityToMetadata,
  isWellFormedApiKey,
  requireProject,
  requireRole,
  visiblePrefix,
  type Identity,
} from "./index.ts";

const developer: Identity = { project: "a", principal: "projects/a/apiKeys/k", role: "developer" };
const reason = (want: string) => (error: unknown) => error instanceof StatusError && error.reason === want;

describe("API keys", () => {
  it("are unlike each other, recognised by their checksum and stored as a hash", () => {
    const key = generateApiKey();

    assert.notEqual(key, generateApiKey());
    assert.ok(isWellFormedApiKey(key));
    assert.ok(!isWellFormedApiKey(key.slice(0, -1) + (key.endsWith("A") ? "B" : "A")));
    assert.match(hashApiKey(key), /^[0-9a-f]{64}$/);
    assert.ok(key.startsWith(visiblePrefix(key)));
  });
});

describe("identity", () => {
  it("travels through metadata", () => {
    const metadata = new Map(Object.entries({ ...identityToMetadata(developer), "servable-token": "t" }));

    assert.deepEqual(identityFromMetadata((key) => metadata.get(key), "t"), developer);
  });

  it("is not believed without the installation's token", () => {
    const metadata = new Map(Object.entries(identityToMetadata(developer)));

    assert.throws(() => identityFromMetadata((key) => metadata.get(key), "t"), reason("INTERNAL_TOKEN_INVALID"));
  });

  it("is held to its role and project", () => {
    requireRole(developer, "user");
    requireProject(developer, "a");
    assert.throws(() => requireRole(developer, "admin"), reason("PERMISSION_DENIED"));
    assert.throws(() => requireProject(developer, "b"), reason("PERMISSION_DENIED"));
    requireProject({ ...developer, role: "admin" }, "b");
  });
});

describe("authorize", () => {
  it("reads the project out of the resource's name", () => {
    assert.equal(authorize(developer, "developer", "projects/a/models/m"), developer);
    assert.throws(() => authorize(developer, "developer", "projects/b/models/m"), reason("PERMISSION_DENIED"));
    assert.throws(() => authorize(undefined, "user", "projects/a"), reason("PERMISSION_DENIED"));
  });
});
