// Reads one uploaded data set and says what it holds. A process of its own, since reading takes seconds of one thread and
// memory of the file's size or, for a hostile archive, of any size.

import { StatusError } from "@servable/errors";
import { inspectDataset } from "../domain/dataset-reader/inspect-dataset.ts";
import type { InspectionRequest } from "../domain/dataset-inspector.ts";
import type { InspectorAnswer } from "./worker-protocol.ts";

process.once("message", (request: InspectionRequest) => void answer(request));
process.on("disconnect", () => process.exit(1));

async function answer(request: InspectionRequest): Promise<void> {
  const message: InspectorAnswer = await inspectDataset(request, new AbortController().signal).then(
    (inspection) => ({ ok: true, inspection }),
    (error: unknown) => {
      const failure = StatusError.from(error);
      if (failure.reason === "INTERNAL") process.stderr.write(`inspector: ${error instanceof Error ? error.stack : String(error)}\n`);
      return { ok: false, reason: failure.reason, message: failure.message, metadata: failure.metadata };
    },
  );
  process.send?.(message, () => process.exit(0));
}
