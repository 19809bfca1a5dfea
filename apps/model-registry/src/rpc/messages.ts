// Records → messages: the only place where the two forms meet.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { etagOf } from "@servable/aip";
import { Deployment_State, DeploymentSchema, type Deployment, type VersionPolicySchema } from "@servable/contracts/registry/v1/deployment";
import { EventSchema, type Event } from "@servable/contracts/registry/v1/event";
import { ModelAliasSchema, ModelSchema, type Model, type ModelAlias } from "@servable/contracts/registry/v1/model";
import { ModelVersionSchema, ModelVersion_State, SignatureSchema, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import type { MetricRuleSchema, PromotionGate } from "@servable/contracts/registry/v1/promotion_gate";
import type { ModelSignature } from "@servable/onnx";
import type { AliasRecord, EventRecord, MetricRuleRecord, ModelRecord, PromotionGateRecord, VersionPolicyRecord, VersionRecord } from "../domain/records.ts";
import type { DeploymentView } from "../domain/serving-state.ts";

export function modelMessage(model: ModelRecord): Model {
  return create(ModelSchema, {
    name: model.name,
    displayName: model.displayName,
    description: model.description,
    labels: { ...model.labels },
    latestVersion: BigInt(model.latestVersion),
    createTime: timestampFromMs(model.createTimeMs),
    updateTime: timestampFromMs(model.updateTimeMs),
    etag: etagOf(model.revision),
    promotionGates: model.promotionGates.map(({ alias, deployments, rules }) => ({ alias, deployments, rules: rules.map(ruleMessage) })),
  });
}

function ruleMessage({ metric, lowerIsBetter, min, max, worseningMax }: MetricRuleRecord): MessageInitShape<typeof MetricRuleSchema> {
  return { metric, lowerIsBetter, ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }), ...(worseningMax === undefined ? {} : { worseningMax }) };
}

/** The only messages that become records as they are: they are values, without names of their own. */
export function gateRecords(gates: readonly PromotionGate[]): PromotionGateRecord[] {
  return gates.map(({ alias, deployments, rules }) => ({ alias, deployments, rules: rules.map(({ metric, min, max, worseningMax, lowerIsBetter }) => ({ metric, min, max, worseningMax, lowerIsBetter })) }));
}

export function versionMessage(version: VersionRecord): ModelVersion {
  return create(ModelVersionSchema, {
    name: version.name,
    number: BigInt(version.number),
    digest: version.digest,
    state: ModelVersion_State[version.state],
    failureReason: version.failureReason,
    failureMessage: version.failureMessage,
    artifacts: version.artifacts.map((artifact) => ({ ...artifact, sizeBytes: BigInt(artifact.sizeBytes) })),
    ...(version.signature === undefined ? {} : { signature: signatureMessage(version.signature) }),
    lineage: { ...version.lineage },
    description: version.description,
    labels: { ...version.labels },
    servingConfigJson: version.servingConfigJson,
    metrics: { ...version.metrics },
    createTime: timestampFromMs(version.createTimeMs),
    ...(version.finalizeTimeMs === undefined ? {} : { finalizeTime: timestampFromMs(version.finalizeTimeMs) }),
  });
}

export function signatureMessage({ inputs, outputs }: ModelSignature): MessageInitShape<typeof SignatureSchema> {
  const spec = ({ name, datatype, shape, dimensionNames }: ModelSignature["inputs"][number]) => ({ name, datatype, shape: shape.map(BigInt), dimensionNames: [...dimensionNames] });
  return { inputs: inputs.map(spec), outputs: outputs.map(spec) };
}

export function aliasMessage(alias: AliasRecord): ModelAlias {
  return create(ModelAliasSchema, { name: alias.name, modelVersion: alias.version, updateTime: timestampFromMs(alias.updateTimeMs), etag: etagOf(alias.revision) });
}

export function eventMessage(event: EventRecord): Event {
  return create(EventSchema, { sequence: BigInt(event.sequence), type: event.type, resource: event.resource, time: timestampFromMs(event.timeMs), principal: event.principal, attributes: { ...event.attributes } });
}

function policyMessage(policy: VersionPolicyRecord): MessageInitShape<typeof VersionPolicySchema> {
  switch (policy.kind) {
    case "latest":
      return { choice: { case: "latest", value: { versionCount: policy.count } } };
    case "specific":
      return { choice: { case: "specific", value: { versions: policy.versions.map(BigInt) } } };
    case "alias":
      return { choice: { case: "alias", value: policy.alias } };
    case "all":
      return { choice: { case: "all", value: {} } };
    case "labels":
      return { choice: { case: "labels", value: { aliases: [...policy.aliases] } } };
  }
}

export function deploymentMessage({ deployment, state, failureMessage, wanted, ready }: DeploymentView): Deployment {
  const { policy } = deployment;
  return create(DeploymentSchema, {
    name: deployment.name,
    model: deployment.model,
    versionPolicy: policyMessage(policy),
    replicaCount: deployment.replicaCount,
    servingConfigJson: deployment.servingConfigJson,
    state: Deployment_State[state],
    failureMessage,
    wantedVersions: wanted.map(BigInt),
    readyVersions: ready.map(BigInt),
    createTime: timestampFromMs(deployment.createTimeMs),
    updateTime: timestampFromMs(deployment.updateTimeMs),
    etag: etagOf(deployment.revision),
  });
}
