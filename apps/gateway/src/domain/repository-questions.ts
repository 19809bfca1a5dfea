import { create, toBinary } from "@bufbuild/protobuf";
import { ModelStatisticsRequestSchema, RepositoryIndexRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import type { Broadcast } from "./broadcast.ts";
import type { Caller } from "./caller.ts";
import { mergeIndexes, mergeStatistics } from "./merged-answers.ts";
import type { ModelReference } from "./model-reference.ts";
import type { Router } from "./router.ts";

/** What is asked about models of all replicas together; answers are encoded messages of the protocol. */
export interface RepositoryQuestions {
  /** The models of the caller's project with their state. */
  index(readyOnly: boolean, caller: Caller): Promise<Uint8Array>;
  /** Counters of one model, or of all with the name "". @throws StatusError `MODEL_NOT_FOUND` */
  statistics(reference: ModelReference, caller: Caller): Promise<Uint8Array>;
}

/** Questions over the replicas that the router knows. */
export function createRepositoryQuestions(router: Router, broadcast: Broadcast): RepositoryQuestions {
  return {
    async index(readyOnly, caller) {
      const request = toBinary(RepositoryIndexRequestSchema, create(RepositoryIndexRequestSchema, { ready: readyOnly }));
      return mergeIndexes(await broadcast.ask("RepositoryIndex", request, caller));
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
