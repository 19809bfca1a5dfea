import { fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import type { VersionPolicySchema } from "@servable/contracts/registry/v1/deployment";

/** Which versions a deployment serves. */
export type VersionPolicyInit = MessageInitShape<typeof VersionPolicySchema>;

/**
 * The versions that a load asks for: what its configuration says, else those whose files it brought; undefined = what is
 * served may stay.
 */
export function versionPolicyOf(configJson: string | undefined, brought: readonly bigint[]): VersionPolicyInit | undefined {
  const policy = configJson === undefined ? undefined : fromJson(ModelConfigSchema, JSON.parse(configJson) as JsonValue, { ignoreUnknownFields: true }).versionPolicy?.policyChoice;
  switch (policy?.case) {
    case "all":
      return { choice: { case: "all", value: {} } };
    case "latest":
      return { choice: { case: "latest", value: { versionCount: policy.value.numVersions } } };
    case "specific":
      return { choice: { case: "specific", value: { versions: policy.value.versions } } };
    case undefined:
      return brought.length === 0 ? undefined : { choice: { case: "specific", value: { versions: [...brought] } } };
  }
}
