import type { Assignment } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { isDatatype } from "@servable/tensor";
import type { VersionSpec } from "./loaded-model.ts";
import { modelConfigOf } from "../config/model-config.ts";
import type { Signature } from "../config/signature.ts";

/** Names one version of one deployment. */
export function keyOf({ deployment, modelVersion }: Assignment): string {
  return `${deployment}@${modelVersion?.number ?? 0n}`;
}

/** The specification of a version whose settings cannot be read. */
export function emptySpec({ deployment, modelVersion, etag }: Assignment): VersionSpec {
  const name = deployment.split("/").at(-1) ?? "";
  const signature = { inputs: [], outputs: [] };
  return { deployment, name, version: Number(modelVersion?.number ?? 0n), etag, signature, config: modelConfigOf(name, signature) };
}

/** What an assignment says of its version. @throws StatusError `MODEL_REFUSED`, `FIELD_INVALID` */
export function specOf(assignment: Assignment): VersionSpec {
  const { modelVersion, servingConfigJson } = assignment;
  const tensor = ({ name, datatype, shape, dimensionNames }: { name: string; datatype: string; shape: bigint[]; dimensionNames: string[] }) => {
    if (!isDatatype(datatype)) throw new StatusError("MODEL_REFUSED", `"${name}" has the unknown datatype ${datatype}`);
    return { name, datatype, shape: shape.map(Number), dimensionNames };
  };
  const signature: Signature = { inputs: modelVersion?.signature?.inputs.map(tensor) ?? [], outputs: modelVersion?.signature?.outputs.map(tensor) ?? [] };
  const empty = emptySpec(assignment);
  return { ...empty, signature, config: modelConfigOf(empty.name, signature, modelVersion?.servingConfigJson ?? "", servingConfigJson) };
}
