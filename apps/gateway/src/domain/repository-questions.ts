import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelMetadataRequestSchema, ModelMetadataResponseSchema, ModelStatisticsRequestSchema, RepositoryIndexRequestSchema, type ModelMetadataResponse } from "@servable/contracts/open-inference/grpc_service";
import type { Broadcast } from "./broadcast.ts";
import type { Caller } from "./caller.ts";
import type { Inference } from "./inference.ts";
import { mergeIndexes, mergeStatistics } from "./merged-answers.ts";
import type { ModelReference } from "./model-reference.ts";
import type { Router } from "./router.ts";

/** What is asked about models of all replicas together; answers are encoded messages of the protocol. */
export interface RepositoryQuestions {
  /** The models of the caller's project with their state. */
  index(readyOnly: boolean, caller: Caller): Promise<Uint8Array>;
  /** A model's tensors, and its versions wherever they are served. @throws StatusError `MODEL_NOT_FOUND` */
  metadata(reference: ModelReference, caller: Caller): Promise<ModelMetadataResponse>;
  /** Counters of one model, or of all with the name "". @throws StatusError `MODEL_NOT_FOUND` */
  statistics(reference: ModelReference, caller: Caller): Promise<Uint8Array>;
}

/** Questions over the replicas that the router knows. */
export function createRepositoryQuestions(router: Router, inference: Pick<Inference, "ask">, broadcast: Broadcast): RepositoryQuestions {
  return {
    async index(readyOnly, caller) {
      const request = toBinary(RepositoryIndexRequestSchema, create(RepositoryIndexRequestSchema, { ready: readyOnly }));
      return mergeIndexes(await broadcast.ask("RepositoryIndex", request, caller));
    },
    async metadata(reference, caller) {
      const request = toBinary(ModelMetadataRequestSchema, create(ModelMetadataRequestSchema, { name: reference.model, version: reference.version }));
      const metadata = fromBinary(ModelMetadataResponseSchema, await inference.ask("ModelMetadata", reference, request, caller));
      // A replica knows the versions that it holds; others may hold more.
      const served = router.list(caller.identity.project).filter(({ model, addresses }) => model === reference.model && addresses.length > 0);
      if (served.length > 0) metadata.versions = [...new Set(served.map(({ version }) => version))].toSorted((a, b) => Number(a) - Number(b));
      return metadata;
    },
    async statistics({ model, version }, caller) {
      const request = toBinary(ModelStatisticsRequestSchema, create(ModelStatisticsRequestSchema, { name: model, version }));
      if (model === "") return mergeStatistics(await broadcast.ask("ModelStatistics", request, caller));
      const { project } = caller.identity;
      const found = await router.find(project, { model, version }, caller.signal);
      const all = version === "" ? router.list(project).filter((route) => route.model === model) : [found];
      const addresses = [...new Set(all.flatMap((route) => route.addresses))];
      return mergeStatistics(await broadcast.ask("ModelStatistics", request, caller, addresses));
    },
  };
}
