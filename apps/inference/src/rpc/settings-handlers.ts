import { requireRole, type Identity } from "@servable/auth";
import type { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { ServiceImplementation } from "@servable/grpc";
import { currentLogLevels, setLogLevels, setTraceSampling } from "@servable/telemetry";
import { changeLogSettings, type LogSettingValues } from "../domain/tracing/log-settings.ts";
import type { ModelRepository } from "../domain/repository/model-repository.ts";
import type { TraceSettings } from "../domain/tracing/trace-settings.ts";

type Handlers = Pick<ServiceImplementation<typeof GRPCInferenceService>, "traceSetting" | "logSettings">;

/** The trace and logging extensions. Whoever may call may read; what concerns all projects only an admin may change. */
export function settingsHandlers({ repository, traces }: { repository: ModelRepository; traces: TraceSettings }): Handlers {
  const { info, warning, error, verboseLevel } = currentLogLevels();
  let log: LogSettingValues = { log_file: "", log_info: info, log_warning: warning, log_error: error, log_verbose_level: verboseLevel, log_format: "default" };
  return {
    traceSetting({ settings, modelName }, { identity }) {
      const change = Object.entries(settings).map(([key, { value }]) => [key, value.length === 0 ? undefined : value] as const);
      const deployment = targetOf(identity, modelName, change.length > 0);
      if (deployment !== "" && repository.of(deployment).length === 0) {
        throw new StatusError("MODEL_NOT_FOUND", `Request for unknown model : ${modelName}`, { metadata: { model: modelName } });
      }
      const values = traces.update(deployment, Object.fromEntries(change));
      if (deployment === "" && change.length > 0) setTraceSampling({ enabled: values.trace_level[0] !== "OFF", rate: Number(values.trace_rate[0]) });
      return { settings: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { value: [...value] }])) };
    },
    logSettings({ settings }, { identity }) {
      const change = Object.entries(settings).map(([key, { parameterChoice }]) => [key, parameterChoice.value] as const);
      requireRole(identity, change.length > 0 ? "admin" : "user");
      log = changeLogSettings(log, Object.fromEntries(change));
      if (change.length > 0) setLogLevels({ info: log.log_info, warning: log.log_warning, error: log.log_error, verboseLevel: log.log_verbose_level });
      return { settings: Object.fromEntries(Object.entries(log).map(([key, value]) => [key, { parameterChoice: choiceOf(value as string | boolean | number) }])) };
    },
  };
}

/** The deployment that a model name means, "" for the global settings. */
function targetOf(identity: Identity | undefined, model: string, changes: boolean): string {
  requireRole(identity, !changes ? "user" : model === "" ? "admin" : "developer");
  return model === "" ? "" : `projects/${identity.project}/deployments/${model}`;
}

function choiceOf(value: string | boolean | number) {
  if (typeof value === "boolean") return { case: "boolParam" as const, value };
  return typeof value === "number" ? { case: "uint32Param" as const, value } : { case: "stringParam" as const, value };
}
