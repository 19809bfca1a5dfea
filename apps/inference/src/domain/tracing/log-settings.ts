import { StatusError } from "@servable/errors";

/** Settings of the log in the protocol's form. */
export interface LogSettingValues {
  readonly log_file: string;
  readonly log_info: boolean;
  readonly log_warning: boolean;
  readonly log_error: boolean;
  /** From 1 on details are written too. */
  readonly log_verbose_level: number;
  readonly log_format: string;
}

const FORMATS = ["default", "ISO8601"];
const VERBOSE_LEVEL_MAX = 2 ** 32 - 1;

/**
 * Applies a change to settings; answers all of them.
 *
 * @throws StatusError `FIELD_INVALID` for what is no setting or has the wrong type, `UNIMPLEMENTED` for the log's place
 */
export function changeLogSettings(current: LogSettingValues, change: Readonly<Record<string, unknown>>): LogSettingValues {
  const next: Record<string, unknown> = { ...current };
  for (const [key, value] of Object.entries(change)) next[key] = check(key, value, current);
  return next as unknown as LogSettingValues;
}

function check(key: string, value: unknown, current: LogSettingValues): unknown {
  const refuse = (wanted: string): StatusError => new StatusError("FIELD_INVALID", `the log setting '${key}' must be ${wanted}`, { metadata: { field: `settings.${key}` } });
  switch (key) {
    case "log_file":
      // A caller who could choose the file could write anywhere.
      if (value === current.log_file) return value;
      throw new StatusError("UNIMPLEMENTED", "log file location can not be updated through network protocol: updating log file was deprecated and no longer supported", { metadata: { field: "settings.log_file" } });
    case "log_info":
    case "log_warning":
    case "log_error":
      if (typeof value === "boolean") return value;
      throw refuse("true or false");
    case "log_verbose_level":
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= VERBOSE_LEVEL_MAX) return value;
      throw refuse("a whole number from 0 on");
    case "log_format":
      if (typeof value === "string" && FORMATS.includes(value)) return value;
      throw refuse(FORMATS.join(" or "));
    default:
      throw new StatusError("FIELD_INVALID", `'${key}' is no log setting: there are ${Object.keys(current).join(", ")}`, { metadata: { field: `settings.${key}` } });
  }
}
