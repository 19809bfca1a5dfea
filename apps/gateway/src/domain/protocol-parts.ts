import type { Broadcast } from "./broadcast.ts";
import type { Inference, InferenceDeps } from "./inference.ts";
import type { RepositoryQuestions } from "./repository-questions.ts";
import type { ServerFacts } from "./server-metadata.ts";
import type { ServiceSettings } from "./service-settings.ts";
import type { SharedMemoryRegions } from "./shared-memory-regions.ts";

/** What the calls of the Open Inference Protocol are answered with, over gRPC and REST alike. */
export interface ProtocolParts {
  readonly server: ServerFacts;
  readonly inference: Inference;
  readonly deps: InferenceDeps;
  readonly broadcast: Broadcast;
  readonly questions: RepositoryQuestions;
  readonly regions: SharedMemoryRegions;
  readonly settings: ServiceSettings;
}
