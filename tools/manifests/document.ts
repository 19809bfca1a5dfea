import { parseAllDocuments } from "yaml";

/** Any YAML mapping. */
export type Fields = { readonly [name: string]: unknown };

/** One Kubernetes object, as read. */
export interface Manifest extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** The parts of a container that rules look at. */
export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly resources?: { readonly requests?: Fields; readonly limits?: Fields };
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly privileged?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: { readonly sleep?: { readonly seconds: number } } };
}

/** A probe by the kubelet's own gRPC client. */
export interface Probe {
  readonly grpc?: { readonly port: number };
}

/** The parts of a pod that rules look at. */
export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly seccompProfile?: { readonly type?: string };
  };
  readonly containers: readonly Container[];
  readonly volumes?: readonly Fields[];
}

/** A pod template with the object that makes pods of it. */
export interface Workload {
  readonly owner: Manifest;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
  /** Whether pods of it serve; tests and jobs end by themselves. */
  readonly serves: boolean;
}

/** Parses a stream of YAML documents; empty ones are left out. @throws YAMLParseError */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value = document.toJS() as Manifest | null | undefined;
    return value === null || value === undefined ? [] : [value];
  });
}

/** "Deployment/servable-gateway". */
export const titleOf = ({ kind, metadata }: Manifest): string => `${kind}/${metadata?.name}`;

/** Every pod template. */
export function workloadsOf(manifests: readonly Manifest[]): Workload[] {
  return manifests.flatMap((owner): Workload[] => {
    if (owner.kind === "Pod")
      return [{ owner, labels: owner.metadata.labels ?? {}, spec: owner["spec"] as PodSpec, serves: false }];
    if (!["Deployment", "StatefulSet", "DaemonSet", "Job"].includes(owner.kind)) return [];
    const { template } = owner["spec"] as {
      template: { metadata?: { labels?: Record<string, string> }; spec: PodSpec };
    };
    return [{ owner, labels: template.metadata?.labels ?? {}, spec: template.spec, serves: owner.kind !== "Job" }];
  });
}
