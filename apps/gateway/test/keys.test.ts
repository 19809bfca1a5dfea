import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ApiKey_Role, IamService } from "@servable/contracts/iam/v1/iam";
import { BillingService } from "@servable/contracts/billing/v1/billing";
import { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError, type Reason } from "@servable/errors";
import { createClient } from "@servable/grpc";
import { createLogger } from "@servable/telemetry";
import { tempDir } from "@servable/testing";
import { startServer } from "../src/index.ts";
import { startTestGateway, testConfig, withKey, type TestGateway } from "./gateway.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;

describe("API keys", () => {
  let gateway: TestGateway;
  before(async () => (gateway = await startTestGateway()));
  after(() => gateway[Symbol.asyncDispose]());
  const iam = () => createClient(IamService, gateway.channel);
  const models = () => createClient(ModelRegistryService, gateway.channel);
  const create = async (role: ApiKey_Role, project = "default") => {
    const { apiKey, secret } = await iam().createApiKey({ parent: `projects/${project}`, apiKey: { role, displayName: "test" } }, withKey());
    return { name: apiKey?.name ?? "", prefix: apiKey?.prefix ?? "", secret };
  };

  it("refuses calls without a key, over gRPC and HTTP", async () => {
    await assert.rejects(models().listModels({}), reason("API_KEY_MISSING"));

    const response = await fetch(`http://${gateway.server.httpAddress}/v1/models`);
    assert.equal(response.status, 401);
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    assert.equal(((await response.json()) as { error: { reason: string } }).error.reason, "API_KEY_MISSING");
  });

  it("refuses a wrong key, in Open Inference Protocol's form under /v2", async () => {
    await assert.rejects(models().listModels({}, withKey("sv_nonsense")), reason("API_KEY_INVALID"));

    const response = await gateway.http("/v2", { headers: { "x-api-key": "nonsense" } });
    assert.equal(response.status, 401);
    assert.match(((await response.json()) as { error: string }).error, /unknown, revoked or expired/);
  });

  it("answers probes without a key", async () => {
    assert.equal((await createClient(GRPCInferenceService, gateway.channel).serverLive({})).live, true);
    for (const path of ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"]) {
      assert.equal((await fetch(`http://${gateway.server.httpAddress}${path}`)).status, 200, path);
    }
  });

  it("takes a new key as bearer and as x-api-key, and hands its identity on", async () => {
    const { name, secret, prefix } = await create(ApiKey_Role.DEVELOPER);

    await models().listModels({}, withKey(secret));
    await models().listModels({}, { metadata: { "x-api-key": secret } });

    assert.ok(secret.startsWith(prefix) && prefix.startsWith("sv_"));
    assert.deepEqual(gateway.registry.identities.at(-1), { project: "default", principal: name, role: "developer" });
    assert.equal((await gateway.http("/v1/models", { headers: { authorization: `Bearer ${secret}` } })).status, 200);
  });

  it("stops a revoked key at once", async () => {
    const { name, secret } = await create(ApiKey_Role.USER);
    await models().listModels({}, withKey(secret));

    await iam().deleteApiKey({ name }, withKey());

    await assert.rejects(models().listModels({}, withKey(secret)), reason("API_KEY_INVALID"));
    await assert.rejects(iam().deleteApiKey({ name }, withKey()), reason("API_KEY_NOT_FOUND"));
  });

  it("does not let a key revoke itself", async () => {
    const { name, secret } = await create(ApiKey_Role.ADMIN);

    await assert.rejects(iam().deleteApiKey({ name }, withKey(secret)), reason("RESOURCE_IN_USE"));
  });

  it("keeps users and developers away from keys, internal calls and loading", async () => {
    const { secret } = await create(ApiKey_Role.USER);

    await assert.rejects(iam().createApiKey({ parent: "projects/default" }, withKey(secret)), reason("PERMISSION_DENIED"));
    const deployments = createClient(DeploymentService, gateway.channel);
    await assert.rejects(Array.fromAsync(deployments.watchRoutingTable({}, withKey(secret))), reason("PERMISSION_DENIED"));
    await assert.rejects(deployments.reportReplica({}, withKey(secret)), reason("PERMISSION_DENIED"));
    await assert.rejects(createClient(GRPCInferenceService, gateway.channel).repositoryModelLoad({ modelName: "simple" }, withKey(secret)), reason("PERMISSION_DENIED"));
    assert.equal((await gateway.http("/v2/repository/models/simple/unload", { method: "POST", headers: { "x-api-key": secret } })).status, 403);
  });

  it("shows a key of another project none of this one's models and usage", async () => {
    await iam().createProject({ projectId: "other", project: { displayName: "Other" } }, withKey());
    const { secret } = await create(ApiKey_Role.ADMIN - 1, "other");

    const listed = (await (await gateway.http("/v1/models", { headers: { "x-api-key": secret } })).json()) as { data: unknown[] };
    assert.deepEqual(listed.data, []);
    assert.equal((await gateway.http("/v2/models/simple", { headers: { "x-api-key": secret } })).status, 404);
    await assert.rejects(createClient(BillingService, gateway.channel).listUsageRecords({ parent: "projects/default" }, withKey(secret)), reason("PERMISSION_DENIED"));
  });

  it("lists keys by page without secrets", async () => {
    await iam().createProject({ projectId: "paged" }, withKey());
    for (let i = 0; i < 3; i += 1) await create(ApiKey_Role.USER, "paged");

    const first = await iam().listApiKeys({ parent: "projects/paged", pageSize: 2 }, withKey());
    const second = await iam().listApiKeys({ parent: "projects/paged", pageSize: 2, pageToken: first.nextPageToken }, withKey());

    assert.equal(first.apiKeys.length, 2);
    assert.equal(second.apiKeys.length, 1);
    assert.equal(second.nextPageToken, "");
    assert.ok(!JSON.stringify(first.apiKeys, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value)).includes("secret"));
  });

  const wrong = [
    { what: "a project that is not there", request: { parent: "projects/nowhere" }, want: "PROJECT_NOT_FOUND" },
    { what: "a malformed parent", request: { parent: "nowhere" }, want: "RESOURCE_NAME_INVALID" },
    { what: "an expiry in the past", request: { parent: "projects/default", apiKey: { expireTime: { seconds: 1n } } }, want: "FIELD_INVALID" },
  ] as const;
  for (const { what, request, want } of wrong) {
    it(`refuses a key for ${what}`, async () => {
      await assert.rejects(iam().createApiKey(request, withKey()), reason(want));
    });
  }
});

describe("the first admin key", () => {
  it("is made once, kept for its owner only, and works after a restart", async () => {
    using directory = tempDir();
    const config = { ...testConfig(directory.path, "127.0.0.1:1"), bootstrapApiKey: undefined };
    const logger = createLogger("gateway", "silent");
    let made: string | undefined;
    {
      await using server = await startServer(config, { logger });
      made = server.bootstrapKey;
    }

    await using again = await startServer(config, { logger });

    const file = join(directory.path, "admin-key");
    assert.equal(readFileSync(file, "utf8").trim(), made);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(again.bootstrapKey, undefined);
    const response = await fetch(`http://${again.httpAddress}/v1/models`, { headers: { "x-api-key": made ?? "" } });
    assert.equal(response.status, 200);
  });

  it("is not needed when keys are off", async () => {
    using directory = tempDir();
    await using server = await startServer(testConfig(directory.path, "127.0.0.1:1", { auth: "none" }), { logger: createLogger("gateway", "silent") });

    assert.equal((await fetch(`http://${server.httpAddress}/v1/models`)).status, 200);
    assert.equal(server.bootstrapKey, undefined);
  });
});
