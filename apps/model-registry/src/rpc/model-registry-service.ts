import { decodePageToken, pageOf, pageSizeOf } from "@servable/aip";
import { ModelRegistryService, type UploadArtifactRequest } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { ArtifactStore } from "../domain/artifact-store.ts";
import { userOf } from "../domain/deployment-catalog.ts";
import type { EventWatch } from "../domain/event-watch.ts";
import type { ModelCatalog } from "../domain/model-catalog.ts";
import { authorize } from "@servable/auth";
import { aliasMessage, eventMessage, gateRecords, modelMessage, versionMessage } from "./messages.ts";

/** servable.registry.v1.ModelRegistryService over the domain. */
export function modelRegistryService({ catalog, artifacts, events }: { catalog: ModelCatalog; artifacts: ArtifactStore; events: EventWatch }): ServiceRegistration {
  return implement(ModelRegistryService, {
    async createModel({ parent, modelId, model }, { identity }) {
      const { principal } = authorize(identity, "developer", parent);
      return modelMessage(await catalog.createModel(parent, modelId, { displayName: model?.displayName ?? "", description: model?.description ?? "", labels: model?.labels ?? {}, promotionGates: gateRecords(model?.promotionGates ?? []) }, principal));
    },
    async getModel({ name }, { identity }) {
      authorize(identity, "user", name);
      return modelMessage(await catalog.getModel(name));
    },
    async listModels({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `models of ${parent}`;
      const { rows, nextPageToken } = pageOf(await catalog.listModels(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ name }) => name);
      return { models: rows.map(modelMessage), nextPageToken };
    },
    async updateModel({ model, updateMask }, { identity }) {
      if (model === undefined) throw new StatusError("FIELD_REQUIRED", "model is required", { metadata: { field: "model" } });
      const { principal } = authorize(identity, "developer", model.name);
      const paths = updateMask?.paths ?? [];
      const chosen = (path: string, populated: boolean): boolean => (paths.length === 0 ? populated : paths.includes(path));
      const unknown = paths.find((path) => !["display_name", "description", "labels", "promotion_gates"].includes(path));
      if (unknown !== undefined) throw new StatusError("FIELD_INVALID", `update_mask: "${unknown}" cannot be changed; display_name, description, labels and promotion_gates can`, { metadata: { field: "update_mask" } });
      return modelMessage(
        await catalog.updateModel(
          model.name,
          model.etag,
          {
            ...(chosen("display_name", model.displayName !== "") ? { displayName: model.displayName } : {}),
            ...(chosen("description", model.description !== "") ? { description: model.description } : {}),
            ...(chosen("labels", Object.keys(model.labels).length > 0) ? { labels: model.labels } : {}),
            ...(chosen("promotion_gates", model.promotionGates.length > 0) ? { promotionGates: gateRecords(model.promotionGates) } : {}),
          },
          principal,
        ),
      );
    },
    async deleteModel({ name, force, etag }, { identity }) {
      const { principal } = authorize(identity, "developer", name);
      await catalog.deleteModel(name, { force, etag }, principal);
      return {};
    },

    async createModelVersion({ parent, modelVersion, requestId, versionNumber }, { identity }) {
      const { principal } = authorize(identity, "developer", parent);
      return versionMessage(
        await catalog.createVersion(
          parent,
          {
            description: modelVersion?.description ?? "",
            labels: modelVersion?.labels ?? {},
            lineage: { trainingJob: modelVersion?.lineage?.trainingJob ?? "", dataset: modelVersion?.lineage?.dataset ?? "", datasetDigest: modelVersion?.lineage?.datasetDigest ?? "" },
            servingConfigJson: modelVersion?.servingConfigJson ?? "",
            metrics: modelVersion?.metrics ?? {},
            requestId,
            number: Number(versionNumber),
          },
          principal,
        ),
      );
    },
    async getModelVersion({ name }, { identity }) {
      authorize(identity, "user", name);
      return versionMessage(await catalog.getVersion(name));
    },
    async listModelVersions({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `versions of ${parent}`;
      const { rows, nextPageToken } = pageOf(await catalog.listVersions(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ number }) => number);
      return { modelVersions: rows.map(versionMessage), nextPageToken };
    },
    async finalizeModelVersion({ name }, { identity, signal }) {
      const { principal } = authorize(identity, "developer", name);
      return versionMessage(await artifacts.finalize(name, principal, signal));
    },
    async deleteModelVersion({ name }, { identity }) {
      const { principal } = authorize(identity, "developer", name);
      await catalog.deleteVersion(name, userOf, principal);
      return {};
    },

    async uploadArtifact(requests, { identity }) {
      const messages = requests[Symbol.asyncIterator]();
      const first = await messages.next();
      if (first.done === true || first.value.payload.case !== "head") throw new StatusError("FIELD_REQUIRED", "the first message must be the head", { metadata: { field: "head" } });
      const { modelVersion, path, sha256, sizeBytes } = first.value.payload.value;
      authorize(identity, "developer", modelVersion);
      const artifact = await artifacts.upload(modelVersion, path, chunksOf(messages), { sha256, sizeBytes: Number(sizeBytes) });
      return { ...artifact, sizeBytes: BigInt(artifact.sizeBytes) };
    },
    async *downloadArtifact({ modelVersion, path, readOffsetBytes }, { identity }) {
      authorize(identity, "user", modelVersion);
      const { artifact, chunks } = await artifacts.open(modelVersion, path, Number(readOffsetBytes));
      yield { artifact: { ...artifact, sizeBytes: BigInt(artifact.sizeBytes) } };
      for await (const chunk of chunks) yield { chunk };
    },

    async setModelAlias({ alias, compareEtag, force }, { identity }) {
      if (alias === undefined) throw new StatusError("FIELD_REQUIRED", "alias is required", { metadata: { field: "alias" } });
      const { principal } = authorize(identity, "developer", alias.name);
      return aliasMessage(await catalog.setAlias(alias.name, alias.modelVersion, { etag: alias.etag, compareEtag, force }, principal));
    },
    async getModelAlias({ name }, { identity }) {
      authorize(identity, "user", name);
      return aliasMessage(await catalog.getAlias(name));
    },
    async listModelAliases({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `aliases of ${parent}`;
      const { rows, nextPageToken } = pageOf(await catalog.listAliases(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ name }) => name);
      return { aliases: rows.map(aliasMessage), nextPageToken };
    },
    async deleteModelAlias({ name, etag }, { identity }) {
      const { principal } = authorize(identity, "developer", name);
      await catalog.deleteAlias(name, etag, principal);
      return {};
    },

    async *watchEvents({ parent, afterSequence }, { identity, signal }) {
      authorize(identity, "user", parent);
      for await (const event of events.watch(parent, Number(afterSequence), signal)) yield eventMessage(event);
    },
  });
}

async function* chunksOf(messages: AsyncIterator<UploadArtifactRequest>): AsyncGenerator<Uint8Array> {
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    if (next.value.payload.case !== "chunk") throw new StatusError("FIELD_INVALID", "after the head only chunks may follow", { metadata: { field: "chunk" } });
    yield next.value.payload.value;
  }
}
