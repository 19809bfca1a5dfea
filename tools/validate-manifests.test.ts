import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { composeFindings, dockerfileFindings } from "./manifests/container-rules.ts";
import { parseManifests } from "./manifests/document.ts";
import { parityFindings } from "./manifests/parity.ts";
import { PROFILES, goldenPath } from "./manifests/profiles.ts";
import { manifestFindings, validateManifests } from "./validate-manifests.ts";
import { ROOT } from "./workspace.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const golden = (name: string): string => read(`deploy/rendered/${name}.yaml`);

/** The text with one fault in it; a fault that changes nothing would prove nothing. */
function damaged(text: string, from: string | RegExp, to: string): string {
  const result = text.replace(from, to);
  assert.notEqual(result, text, `the fault ${String(from)} found nothing to damage`);
  return result;
}

describe("the manifests in deploy/", () => {
  it("are fresh and without findings", async () => {
    const { findings, documentCount } = await validateManifests();

    assert.deepEqual(findings, []);
    assert.ok(documentCount >= 15 * PROFILES.length);
  });

  for (const profile of PROFILES) {
    it(`run all four services in the profile ${profile.name}`, () => {
      const images = [...read(goldenPath(profile)).matchAll(/image: "?servable\/([a-z-]+):0\.1\.0/g)].map(
        ([, service]) => service,
      );

      assert.deepEqual([...new Set(images)].sort(), ["gateway", "inference", "model-registry", "training"]);
    });
  }
});

describe("the check of manifests", () => {
  const faults: readonly {
    readonly fault: string;
    readonly profile: string;
    readonly from: string | RegExp;
    readonly to: string;
    readonly want: RegExp;
  }[] = [
    {
      fault: "a field of the wrong type",
      profile: "helm-embedded",
      from: "replicas: 1",
      to: 'replicas: "two"',
      want: /Deployment\/servable-gateway: \/spec\/replicas breaks the rule type/,
    },
    {
      fault: "a misspelt field",
      profile: "helm-embedded",
      from: "readinessProbe:",
      to: "readinesProbe:",
      want: /containers\/0\/readinesProbe is no field that Kubernetes knows/,
    },
    {
      fault: "a missing field",
      profile: "kustomize-embedded",
      from: /grpc:\s+port: 8001/,
      to: "grpc: {}",
      want: /livenessProbe\/grpc breaks the rule required/,
    },
    {
      fault: "an unknown kind",
      profile: "kustomize-embedded",
      from: "kind: StatefulSet",
      to: "kind: StatefullSet",
      want: /there is no schema of apps\/v1 StatefullSet/,
    },
    {
      fault: "root",
      profile: "kustomize-embedded",
      from: "runAsUser: 65532",
      to: "runAsUser: 0",
      want: /servable-gateway: may run as root/,
    },
    {
      fault: "a kept capability",
      profile: "kustomize-embedded",
      from: "- ALL",
      to: "- NET_RAW",
      want: /does not drop ALL capabilities/,
    },
    {
      fault: "a writable image",
      profile: "kustomize-embedded",
      from: "readOnlyRootFilesystem: true",
      to: "readOnlyRootFilesystem: false",
      want: /may write into its image/,
    },
    {
      fault: "a mounted token",
      profile: "helm-embedded",
      from: /(spec:\n\s+serviceAccountName: servable-gateway\n\s+automountServiceAccountToken): false/,
      to: "$1: true",
      want: /mounts the service account's token/,
    },
    {
      fault: "a floating image",
      profile: "helm-embedded",
      from: "servable/training:0.1.0",
      to: "servable/training:latest",
      want: /runs "servable\/training:latest": name a version/,
    },
    {
      fault: "a probe of another port",
      profile: "kustomize-embedded",
      from: /grpc:\n\s+port: 8103/,
      to: "grpc:\n            port: 8104",
      want: /servable-inference: .* is probed on port 8104/,
    },
    {
      fault: "a drain longer than the grace",
      profile: "kustomize-embedded",
      from: "value: 30s",
      to: "value: 300s",
      want: /terminationGracePeriodSeconds must be at least 315/,
    },
    {
      fault: "no limit of memory",
      profile: "helm-embedded",
      from: /limits:\s+memory: 4Gi/,
      to: "limits: {}",
      want: /has no limit of memory/,
    },
    {
      fault: "a variable that nobody reads",
      profile: "helm-embedded",
      from: "SERVABLE_ADVERTISE_ADDRESS",
      to: "SERVABLE_ADVERTISED_ADDRESS",
      want: /sets SERVABLE_ADVERTISED_ADDRESS, which no service reads/,
    },
    {
      fault: "a dial of a Service that is not there",
      profile: "helm-embedded",
      from: "servable-model-registry:8101",
      to: "servable-registry:8101",
      want: /SERVABLE_REGISTRY_ADDRESS is servable-registry:8101, and no Service listens there/,
    },
    {
      fault: "an account that nobody creates",
      profile: "helm-embedded",
      from: "serviceAccountName: servable-training",
      to: "serviceAccountName: trainer",
      want: /runs as service account "trainer"/,
    },
    {
      fault: "two processes on one SQLite file",
      profile: "helm-embedded",
      from: "type: Recreate",
      to: "type: RollingUpdate",
      want: /must be one replica with the strategy Recreate/,
    },
    {
      fault: "a closed edge of the call graph",
      profile: "kustomize-embedded",
      from: /- port: 8102/g,
      to: "- port: 9999",
      want: /gateway must reach training:8102, its egress is closed/,
    },
    {
      fault: "an autoscaler of nothing",
      profile: "helm-production",
      from: /kind: Deployment\n(\s+)name: servable-inference\n(\s+minReplicas)/,
      to: "kind: Deployment\n$1name: servable-engine\n$2",
      want: /scales Deployment\/servable-engine, which does not exist/,
    },
  ];
  for (const { fault, profile, from, to, want } of faults) {
    it(`finds ${fault}`, async () => {
      const manifests = parseManifests(damaged(golden(profile), from, to));

      const findings = await manifestFindings(manifests);

      assert.match(findings.join("\n"), want);
    });
  }

  it("finds pods that no policy restricts", async () => {
    const manifests = parseManifests(golden("kustomize-embedded")).filter(
      ({ kind, metadata }) => kind !== "NetworkPolicy" || metadata.name === "servable-gateway",
    );

    const findings = await manifestFindings(manifests);

    assert.ok(findings.includes("NetworkPolicies: ingress of inference is not restricted"), findings.join("\n"));
  });

  it("finds an edge beyond the call graph", async () => {
    const manifests = parseManifests(golden("kustomize-embedded"));
    const [extra] = parseManifests(`
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: { name: debugging }
      spec:
        podSelector: { matchLabels: { app.kubernetes.io/name: training } }
        policyTypes: [Egress]
        egress: [{ to: [{ podSelector: {} }] }]
    `);
    assert.ok(extra);

    const findings = await manifestFindings([...manifests, extra]);

    assert.deepEqual(findings, [
      "NetworkPolicies: training may reach gateway:8001, which it never calls",
      "NetworkPolicies: training may reach inference:8103, which it never calls",
    ]);
  });

  it("finds a probe that Kustomize and Helm set differently", () => {
    const kustomize = parseManifests(golden("kustomize-embedded"));
    const helm = parseManifests(damaged(golden("helm-embedded"), "failureThreshold: 60", "failureThreshold: 61"));

    const findings = parityFindings(kustomize, helm);

    assert.equal(findings.length, 1);
    assert.match(findings[0] ?? "", /container\.startupProbe differs/);
  });
});

describe("the check of the Dockerfile and the compose file", () => {
  const dockerfile = read("deploy/docker/Dockerfile");
  const compose = read("deploy/compose.yaml");

  it("finds a floating base image and a user that is root", () => {
    const findings = dockerfileFindings(
      damaged(damaged(dockerfile, "debian:bookworm-slim", "debian"), /^USER .*$/m, "USER root"),
    );

    assert.deepEqual(findings, [
      "deploy/docker/Dockerfile: builds on debian: name a version",
      "deploy/docker/Dockerfile: the last stage sets no numeric USER above 0",
    ]);
  });

  it("finds an image whose ONNX Runtime would report its use", () => {
    const findings = dockerfileFindings(damaged(dockerfile, "ORT_DISABLE_TELEMETRY=1", "ORT_DISABLE_TELEMETRY=0"));

    assert.deepEqual(findings, [
      "deploy/docker/Dockerfile: lets ONNX Runtime report its use: set ORT_DISABLE_TELEMETRY=1",
    ]);
  });

  it("finds a variable that no service reads and a service that does not exist", () => {
    const findings = composeFindings(
      new Set(["SERVABLE_HOST"]),
      damaged(compose, "SERVICE: training", "SERVICE: trainer"),
    );

    assert.ok(findings.includes("deploy/compose.yaml: inference: sets SERVABLE_REPLICA_ID, which no service reads"));
    assert.ok(
      findings.includes(
        "deploy/compose.yaml: training: builds trainer from deploy/docker/Dockerfile, which does not exist",
      ),
    );
  });
});
