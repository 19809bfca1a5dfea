import type { ModelSignature } from "@servable/onnx";

/** A model as it is stored. */
export interface ModelRecord {
  /** "projects/{project}/models/{model}". */
  readonly name: string;
  readonly project: string;
  readonly displayName: string;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly promotionGates: readonly PromotionGateRecord[];
  /** Newest READY version; 0 = none. */
  readonly latestVersion: number;
  readonly nextVersion: number;
  readonly revision: number;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
}

/** What a version must have reached to be promoted. */
export interface PromotionGateRecord {
  /** "" = no alias. */
  readonly alias: string;
  readonly deployments: boolean;
  readonly rules: readonly MetricRuleRecord[];
}

/** A bound on one metric. */
export interface MetricRuleRecord {
  readonly metric: string;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** How much worse than the alias's current version it may be. */
  readonly worseningMax?: number | undefined;
  readonly lowerIsBetter: boolean;
}

/** PENDING → READY | FAILED. */
export type VersionState = "PENDING" | "READY" | "FAILED";

/** One file of a version. */
export interface ArtifactRecord {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Where a version comes from. */
export interface LineageRecord {
  readonly trainingJob: string;
  readonly dataset: string;
  readonly datasetDigest: string;
  readonly creator: string;
}

/** A version as it is stored, with its files. */
export interface VersionRecord {
  /** ".../versions/{number}". */
  readonly name: string;
  readonly model: string;
  readonly number: number;
  readonly state: VersionState;
  readonly digest: string;
  readonly failureReason: string;
  readonly failureMessage: string;
  readonly artifacts: readonly ArtifactRecord[];
  readonly signature: ModelSignature | undefined;
  readonly lineage: LineageRecord;
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly servingConfigJson: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly requestId: string | undefined;
  readonly createTimeMs: number;
  readonly finalizeTimeMs: number | undefined;
}

/** An alias as it is stored. */
export interface AliasRecord {
  readonly name: string;
  readonly model: string;
  /** Name of the version. */
  readonly version: string;
  readonly revision: number;
  readonly updateTimeMs: number;
}

/** Which versions of a model serve. */
export type VersionPolicyRecord =
  | { readonly kind: "latest"; readonly count: number }
  | { readonly kind: "specific"; readonly versions: readonly number[] }
  | { readonly kind: "alias"; readonly alias: string }
  | { readonly kind: "all" }
  | { readonly kind: "labels"; readonly aliases: readonly string[] };

/** A deployment as it is stored: only what is wanted; what is follows from the replicas' reports. */
export interface DeploymentRecord {
  readonly name: string;
  readonly project: string;
  readonly model: string;
  readonly policy: VersionPolicyRecord;
  readonly replicaCount: number;
  readonly servingConfigJson: string;
  readonly revision: number;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
}

/** A replica with its lease. */
export interface ReplicaRecord {
  readonly replicaId: string;
  readonly address: string;
  readonly memoryBudgetBytes: number;
  /** About to stop: gets no more models and hands over those it has. */
  readonly draining: boolean;
  readonly expireTimeMs: number;
}

/** What a replica says of a version; `state` as in the contract's VersionStatus.State. */
export interface VersionStatusRecord {
  readonly replicaId: string;
  readonly deployment: string;
  readonly version: number;
  readonly state: number;
  readonly message: string;
  readonly assignmentEtag: string;
  /** What it takes in memory; 0 = not known. */
  readonly memoryBytes: number;
}

/** One thing that happened. */
export interface EventRecord {
  readonly sequence: number;
  readonly project: string;
  readonly type: string;
  readonly resource: string;
  readonly timeMs: number;
  readonly principal: string;
  readonly attributes: Readonly<Record<string, string>>;
}
