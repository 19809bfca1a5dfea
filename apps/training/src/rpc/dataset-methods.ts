import { decodePageToken, pageOf, pageSizeOf } from "@servable/aip";
import { authorize } from "@servable/auth";
import type { UploadDatasetRequest, TrainingService } from "@servable/contracts/training/v1/training";
import type { ServiceImplementation } from "@servable/grpc";
import type { DatasetCatalog } from "../domain/dataset-catalog.ts";
import type { DatasetSplits } from "../domain/dataset-splits.ts";
import { required } from "./field-required.ts";
import { changesOf, datasetHead, datasetMessage, splitDraft, splitMessage } from "./dataset-messages.ts";
import { readUpload } from "./upload-reader.ts";

type DatasetMethod = "uploadDataset" | "updateDataset" | "getDataset" | "listDatasets" | "listDatasetVersions" | "createDatasetSplit" | "deleteDataset";

/** The methods of TrainingService that are about data sets. */
export function datasetMethods({ datasets, splits }: { datasets: DatasetCatalog; splits: DatasetSplits }): Pick<ServiceImplementation<typeof TrainingService>, DatasetMethod> {
  return {
    async uploadDataset(requests: AsyncIterable<UploadDatasetRequest>, { identity, signal }) {
      const { head, files } = await readUpload(requests);
      authorize(identity, "developer", head.parent);
      if (head.dataset === undefined) throw required("head.dataset");
      return datasetMessage(await datasets.upload(datasetHead(head.parent, head.datasetId, head.newVersion, head.dataset), files, signal));
    },
    async updateDataset({ dataset, updateMask }, { identity, signal }) {
      if (dataset === undefined) throw required("dataset");
      authorize(identity, "developer", dataset.name);
      const current = await datasets.get(dataset.name);
      return datasetMessage(await datasets.update(dataset.name, changesOf(dataset, updateMask?.paths ?? [], current), signal));
    },
    async getDataset({ name }, { identity }) {
      authorize(identity, "user", name);
      return datasetMessage(await datasets.get(name));
    },
    async listDatasets({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `datasets of ${parent}`;
      const { rows, nextPageToken } = pageOf(await datasets.list(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ name }) => name);
      return { datasets: rows.map(datasetMessage), nextPageToken };
    },
    async listDatasetVersions({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `versions of ${parent}`;
      const { rows, nextPageToken } = pageOf(await datasets.versions(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ version }) => version);
      return { datasets: rows.map(datasetMessage), nextPageToken };
    },
    async createDatasetSplit({ parent, split }, { identity, signal }) {
      authorize(identity, "developer", parent);
      if (split === undefined) throw required("split");
      return splitMessage(await splits.create(parent, split.splitId, splitDraft(split), signal));
    },
    async deleteDataset({ name }, { identity }) {
      authorize(identity, "developer", name);
      await datasets.delete(name);
      return {};
    },
  };
}
