// Trace and log settings belong to all services behind the door: the replicas keep them, the gateway passes changes to all
// of them, follows the global ones itself, and tells replicas that come later.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { serviceIdentity } from "@servable/auth";
import {
  LogSettingsRequestSchema,
  LogSettingsResponseSchema,
  TraceSettingRequestSchema,
  TraceSettingResponseSchema,
  type LogSettingsResponse,
  type TraceSettingResponse,
} from "@servable/contracts/open-inference/grpc_service";
import type { LogLevels, TraceSampling } from "@servable/telemetry";
import { failureOf, type Broadcast, type ReplicaAnswer } from "./broadcast.ts";
import type { Caller } from "./caller.ts";
import { decodeMessage } from "./decode-message.ts";

/** How long a new replica may take to hear of the settings. */
const TELL_MS_MAX = 10_000;

/** Settings over all replicas. Requests and answers are encoded messages of the protocol. */
export interface ServiceSettings {
  trace(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  log(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** Told of all replicas whenever they change. */
  replicasChanged(addresses: ReadonlySet<string>): void;
}

/** What the settings change in this process. */
export interface SettingEffects {
  readonly setTraceSampling: (sampling: TraceSampling) => void;
  readonly setLogLevels: (levels: LogLevels) => void;
}

/** Settings that were changed through this gateway are kept as long as it runs. */
export function createServiceSettings(broadcast: Broadcast, { setTraceSampling, setLogLevels }: SettingEffects): ServiceSettings {
  const changedTrace = create(TraceSettingRequestSchema);
  const changedLog = create(LogSettingsRequestSchema);
  let known: ReadonlySet<string> = new Set();
  return {
    async trace(request, caller) {
      const { modelName, settings } = decodeMessage(TraceSettingRequestSchema, request);
      const answer = firstAnswer(await broadcast.tell("TraceSetting", request, caller));
      if (modelName === "" && Object.keys(settings).length > 0) {
        Object.assign(changedTrace.settings, settings);
        setTraceSampling(samplingOf(fromBinary(TraceSettingResponseSchema, answer)));
      }
      return answer;
    },
    async log(request, caller) {
      const { settings } = decodeMessage(LogSettingsRequestSchema, request);
      const answer = firstAnswer(await broadcast.tell("LogSettings", request, caller));
      if (Object.keys(settings).length > 0) {
        Object.assign(changedLog.settings, settings);
        setLogLevels(levelsOf(fromBinary(LogSettingsResponseSchema, answer)));
      }
      return answer;
    },
    replicasChanged(addresses) {
      const newcomers = [...addresses].filter((address) => !known.has(address));
      known = addresses;
      const caller: Caller = { identity: serviceIdentity("gateway"), requestId: "settings", signal: AbortSignal.timeout(TELL_MS_MAX), deadline: undefined };
      const tell = (method: string, message: Uint8Array): void => {
        // A replica that does not answer leaves the table, and is new when it comes back.
        if (newcomers.length > 0 && message.length > 0) void broadcast.tell(method, message, caller, newcomers).catch(() => {});
      };
      tell("TraceSetting", toBinary(TraceSettingRequestSchema, changedTrace));
      tell("LogSettings", toBinary(LogSettingsRequestSchema, changedLog));
    },
  };
}

/** A replica that does not hold a model refuses its settings, so one that takes them is enough. */
function firstAnswer(answers: readonly ReplicaAnswer[]): Uint8Array {
  for (const { result } of answers) if (result.status === "fulfilled") return result.value;
  throw failureOf(answers);
}

function samplingOf({ settings }: TraceSettingResponse): TraceSampling {
  return { enabled: settings["trace_level"]?.value[0] !== "OFF", rate: Number(settings["trace_rate"]?.value[0] ?? 1) };
}

function levelsOf({ settings }: LogSettingsResponse): LogLevels {
  const value = (key: string): unknown => settings[key]?.parameterChoice.value;
  return { info: value("log_info") === true, warning: value("log_warning") === true, error: value("log_error") === true, verboseLevel: Number(value("log_verbose_level") ?? 0) };
}
