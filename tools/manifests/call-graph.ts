// The network lets pass what the architecture draws, in both directions of a policy: egress of the caller and ingress of the
// called. An edge that is missing breaks the platform, one too many lets a broken-into pod look around.
import type { Manifest } from "./document.ts";
import { workloadsOf, type Container } from "./document.ts";

/** Who dials whom, by `app.kubernetes.io/name`. */
export const CALLS: Readonly<Record<string, readonly string[]>> = {
  gateway: ["inference", "model-registry", "training"],
  inference: ["model-registry"],
  "model-registry": [],
  training: ["model-registry"],
};

const NAME = "app.kubernetes.io/name";

type Labels = Readonly<Record<string, string>>;
interface Selector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}
interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
}
interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly port?: number | string }[];
}
interface Policy {
  readonly podSelector: Selector;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** Edges of the call graph that the network policies forget, and edges that they allow beyond it. */
export function callGraphFindings(manifests: readonly Manifest[], calls: typeof CALLS = CALLS): string[] {
  const policies = manifests
    .filter(({ kind }) => kind === "NetworkPolicy")
    .map((manifest) => manifest["spec"] as Policy);
  const pods = new Map(
    workloadsOf(manifests)
      .filter(({ serves }) => serves)
      .map(({ labels, spec }) => [labels[NAME] ?? "", { labels, grpcPort: portOf(spec.containers) }]),
  );
  const findings: string[] = [];
  const say = (finding: string): void => void findings.push(`NetworkPolicies: ${finding}`);

  for (const [name, { labels }] of pods) {
    for (const direction of ["Ingress", "Egress"]) {
      if (
        !policies.some(
          (policy) => selects(policy.podSelector, labels) && policy.policyTypes?.includes(direction) === true,
        )
      )
        say(`${direction.toLowerCase()} of ${name} is not restricted`);
    }
  }
  for (const [caller, from] of pods) {
    for (const [called, to] of pods) {
      if (caller === called) continue;
      const out = allows(policies, "egress", from.labels, to.labels, to.grpcPort);
      const into = allows(policies, "ingress", to.labels, from.labels, to.grpcPort);
      const wanted = calls[caller]?.includes(called) === true;
      if (wanted && !(out && into))
        say(`${caller} must reach ${called}:${to.grpcPort ?? "?"}, its ${out ? `ingress` : "egress"} is closed`);
      // The gateway's ports are open to all, so there the caller's egress alone decides.
      if (!wanted && (out || (into && called !== "gateway")))
        say(`${caller} may reach ${called}:${to.grpcPort ?? "?"}, which it never calls`);
    }
  }
  for (const name of new Set([...Object.keys(calls), ...pods.keys()])) {
    if (!pods.has(name)) say(`there is no workload ${name}`);
    if (calls[name] === undefined) say(`the call graph does not know ${name}: add it to tools/manifests/call-graph.ts`);
  }
  return findings;
}

function portOf(containers: readonly Container[]): number | undefined {
  return containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === "grpc")?.containerPort;
}

function allows(
  policies: readonly Policy[],
  direction: "ingress" | "egress",
  subject: Labels,
  peer: Labels,
  port: number | undefined,
): boolean {
  return policies
    .filter(({ podSelector }) => selects(podSelector, subject))
    .flatMap((policy) => policy[direction] ?? [])
    .some((rule) => {
      const peers = direction === "ingress" ? rule.from : rule.to;
      const reaches =
        peers === undefined ||
        peers.some(
          ({ podSelector, namespaceSelector }) =>
            namespaceSelector === undefined && podSelector !== undefined && selects(podSelector, peer),
        );
      return reaches && (rule.ports === undefined || rule.ports.some((entry) => entry.port === port));
    });
}

function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const has = labels[key] !== undefined && (values.length === 0 || values.includes(labels[key]));
      return operator === "In" || operator === "Exists" ? has : !has;
    })
  );
}
