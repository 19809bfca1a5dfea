import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { decodePageToken, pageOf, pageSizeOf, parseName } from "@servable/aip";
import { requireProject } from "@servable/auth";
import { BillingService, type UsageRecordSchema } from "@servable/contracts/billing/v1/billing";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { UsageRecorder } from "../domain/usage-recorder.ts";
import type { UsageRecord, UsageStore } from "../store/usage-store.ts";

/** Usage records, for the project whose calls they are. */
export function billingService(store: UsageStore, recorder: UsageRecorder): ServiceRegistration {
  return implement(BillingService, {
    async listUsageRecords({ parent, pageSize, pageToken }, { identity }) {
      const { project } = parseName("projects/{project}", parent, "parent");
      requireProject(identity, project);
      // Whoever asks after a call sees that call.
      await recorder.flush();
      const size = pageSizeOf(pageSize);
      const list = `${parent}/usageRecords`;
      const before = decodePageToken(list, pageToken);
      const page = pageOf(await store.list(project, size + 1, before === undefined ? undefined : String(before)), size, list, ({ id }) => id);
      return { usageRecords: page.rows.map(recordMessage), nextPageToken: page.nextPageToken };
    },
  });
}

function recordMessage(record: UsageRecord): MessageInitShape<typeof UsageRecordSchema> {
  const { requestId, apiKey, model, modelVersion, operation, unit, outcome } = record;
  return {
    requestId,
    project: `projects/${record.projectId}`,
    apiKey,
    model,
    modelVersion,
    operation,
    unit,
    unitCount: BigInt(record.unitCount),
    outcome,
    sizeBytes: BigInt(record.sizeBytes),
    durationUs: BigInt(record.durationUs),
    time: timestampFromMs(record.timeMs),
  };
}
