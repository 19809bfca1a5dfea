// Which requests are traced. A model follows the global settings except where it was given its own; the global ones follow
// what this process was started with except where they were changed.
//
// I1: what is asked for one model never changes another one's requests.
// I2: `trace_count` counts down only while requests are traced, and nothing is traced once it is 0.

import { StatusError } from "@servable/errors";

/** Settings in the protocol's form: all values are texts. */
export interface TraceSettingValues {
  readonly trace_file: string;
  /** OFF alone, or TIMESTAMPS and TENSORS. */
  readonly trace_level: readonly string[];
  /** One trace per so many requests. */
  readonly trace_rate: string;
  /** Traces left; -1 = no limit. */
  readonly trace_count: string;
  /** Traces per file; 0 = one file. */
  readonly log_frequency: string;
  readonly trace_mode: string;
}

type Key = keyof TraceSettingValues;

/** A change: a list of values, or undefined where the setting is to follow again. */
export type TraceChange = Readonly<Record<string, readonly string[] | undefined>>;

/** How the requests of one model are traced. */
export interface TraceDecision {
  readonly tensors: boolean;
  readonly file: string;
}

const LEVELS = ["OFF", "TIMESTAMPS", "TENSORS"];
/** Models that may have settings of their own. */
const MODELS_MAX = 10_000;

/** The trace settings of a process. */
export class TraceSettings {
  readonly #defaults: TraceSettingValues;
  readonly #global = new Map<Key, readonly string[]>();
  readonly #models = new Map<string, Map<Key, readonly string[]>>();
  /** By model, "" for those without a rate of their own. */
  readonly #requests = new Map<string, number>();
  /** Whether anything at all is traced: requests must not pay for what is off. */
  #isOn: boolean;

  constructor(defaults: TraceSettingValues) {
    this.#defaults = defaults;
    this.#isOn = this.#anyOn();
  }

  /** Settings in force for a model ("projects/p/deployments/m"), or the global ones for "". */
  get(model: string): Record<Key, readonly string[]> {
    const own = this.#models.get(model);
    const keys = Object.keys(this.#defaults) as Key[];
    return Object.fromEntries(keys.map((key) => [key, own?.get(key) ?? this.#global.get(key) ?? listOf(this.#defaults[key])])) as Record<Key, readonly string[]>;
  }

  /** Changes settings and answers all that are now in force. @throws StatusError `FIELD_INVALID`, `UNIMPLEMENTED`; then nothing has changed */
  update(model: string, change: TraceChange): Record<Key, readonly string[]> {
    const checked = Object.entries(change).map(([key, values]) => [this.#keyOf(key), values === undefined ? undefined : this.#check(key as Key, values, model)] as const);
    if (checked.length === 0) return this.get(model);
    const target = this.#targetOf(model);
    for (const [key, values] of checked) {
      if (values === undefined) target.delete(key);
      else target.set(key, values);
      if (key === "trace_rate") this.#requests.delete(model);
    }
    if (target.size === 0) this.#models.delete(model);
    this.#isOn = this.#anyOn();
    return this.get(model);
  }

  /** Whether a model was given settings of its own. */
  isOwn(model: string): boolean {
    return this.#models.has(model);
  }

  /** Counts a request to a model; answers how it is to be traced, undefined = not at all. */
  decide(model: string): TraceDecision | undefined {
    if (!this.#isOn) return undefined;
    const own = this.#models.get(model);
    const value = (key: Key): readonly string[] => own?.get(key) ?? this.#global.get(key) ?? listOf(this.#defaults[key]);
    const levels = value("trace_level");
    if (levels.length === 0 || levels[0] === "OFF") return undefined;
    const rate = Number(value("trace_rate")[0]);
    const counter = own?.has("trace_rate") === true ? model : "";
    const seen = (this.#requests.get(counter) ?? 0) + 1;
    this.#requests.set(counter, seen % rate);
    if (seen % rate !== 0) return undefined;
    const count = Number(value("trace_count")[0]);
    if (count === 0) return undefined;
    if (count > 0) (own?.has("trace_count") === true ? own : this.#global).set("trace_count", [String(count - 1)]); // I2
    return { tensors: levels.includes("TENSORS"), file: value("trace_file")[0] ?? "" };
  }

  #anyOn(): boolean {
    const levels = [this.#global.get("trace_level") ?? this.#defaults.trace_level, ...[...this.#models.values()].map((own) => own.get("trace_level"))];
    return levels.some((level) => level !== undefined && level[0] !== "OFF");
  }

  #targetOf(model: string): Map<Key, readonly string[]> {
    if (model === "") return this.#global;
    const own = this.#models.get(model) ?? new Map<Key, readonly string[]>();
    if (!this.#models.has(model) && this.#models.size >= MODELS_MAX) throw new StatusError("FIELD_INVALID", `${MODELS_MAX} models have trace settings of their own: clear some first`);
    this.#models.set(model, own);
    return own;
  }

  #keyOf(key: string): Key {
    if (key in this.#defaults) return key as Key;
    throw new StatusError("FIELD_INVALID", `'${key}' is no trace setting: there are ${Object.keys(this.#defaults).join(", ")}`, { metadata: { field: `settings.${key}` } });
  }

  #check(key: Key, values: readonly string[], model: string): readonly string[] {
    const [value = ""] = values;
    const refuse = (wanted: string): StatusError => new StatusError("FIELD_INVALID", `the trace setting '${key}' must be ${wanted}, got ${JSON.stringify(values)}`, { metadata: { field: `settings.${key}` } });
    switch (key) {
      case "trace_level":
        if (values.length === 0 || values.some((each) => !LEVELS.includes(each))) throw refuse("a list of OFF, TIMESTAMPS and TENSORS");
        if (values.includes("OFF") && values.length > 1) throw refuse("OFF alone, or other levels without it");
        return [...new Set(values)];
      case "trace_rate":
        return [wholeNumber(values, 1) ?? raise(refuse("a whole number from 1 on"))];
      case "trace_count":
        return [wholeNumber(values, -1) ?? raise(refuse("a whole number from -1 on, where -1 means without limit"))];
      case "log_frequency":
        return [wholeNumber(values, 0) ?? raise(refuse("a whole number from 0 on"))];
      case "trace_file":
        // A caller who could choose the file could write anywhere.
        if (values.length === 1 && value === this.get(model).trace_file[0]) return [value];
        throw new StatusError("UNIMPLEMENTED", "trace file location can not be updated through network protocol: set SERVABLE_TRACE_FILE", { metadata: { field: "settings.trace_file" } });
      case "trace_mode":
        if (values.length === 1 && value === this.#defaults.trace_mode) return [value];
        throw new StatusError("UNIMPLEMENTED", `trace mode can not be updated through network protocol: it is '${this.#defaults.trace_mode}'`, { metadata: { field: "settings.trace_mode" } });
    }
  }
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

/** A whole number as it is to be stored; undefined when it is none, or too small. */
function wholeNumber(values: readonly string[], min: number): string | undefined {
  const [text = ""] = values;
  if (values.length !== 1 || !/^-?\d{1,15}$/.test(text)) return undefined;
  return Number(text) < min ? undefined : String(Number(text));
}

function raise(error: StatusError): never {
  throw error;
}
