import { StatusError } from "@servable/errors";

/**
 * Reads the fields of one object strictly: each is checked when it is read, and what nobody read is refused at the end.
 * Every complaint names the field by its path.
 */
export class FieldReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #known = new Set<string>();

  /** @throws StatusError `TASK_MANIFEST_INVALID` when the value is no object */
  constructor(value: unknown, path = "") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(path === "" ? "servable.yaml" : path, "must be fields with values");
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  /** The path of a field. */
  pathOf(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  has(key: string): boolean {
    return this.#fields[key] !== undefined && this.#fields[key] !== null;
  }

  /** The value as it stands, undefined where there is none. */
  raw(key: string): unknown {
    this.#known.add(key);
    return this.#fields[key] ?? undefined;
  }

  text(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    throw this.refuse(key, "must be a text that is not empty");
  }

  flag(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === "boolean") return value;
    throw this.refuse(key, "must be true or false");
  }

  number(key: string, { min = -Infinity, max = Infinity }: { min?: number; max?: number } = {}): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && value >= min && value <= max) return value;
    throw this.refuse(key, min === -Infinity ? "must be a number" : `must be a number from ${min} to ${max}`);
  }

  whole(key: string, min: number, max: number): number | undefined {
    const value = this.number(key, { min, max });
    if (value === undefined || Number.isInteger(value)) return value;
    throw this.refuse(key, `must be a whole number from ${min} to ${max}`);
  }

  oneOf<const T extends string>(key: string, words: readonly T[]): T | undefined {
    const value = this.raw(key);
    const found = words.find((word) => word === value);
    if (value === undefined || found !== undefined) return found;
    throw this.refuse(key, `must be one of ${words.join(", ")}`);
  }

  /** One number, or one for each channel. */
  numbers(key: string, countMax: number): readonly number[] | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (list.length >= 1 && list.length <= countMax && list.every((item) => typeof item === "number" && Number.isFinite(item))) return list as readonly number[];
    throw this.refuse(key, `must be a number or a list of at most ${countMax} numbers`);
  }

  section(key: string): FieldReader | undefined {
    const value = this.raw(key);
    return value === undefined ? undefined : new FieldReader(value, this.pathOf(key));
  }

  /** @throws StatusError `TASK_MANIFEST_INVALID` naming a field that nobody read */
  finish(): void {
    const stray = Object.keys(this.#fields).find((key) => !this.#known.has(key));
    if (stray !== undefined) throw invalid(this.pathOf(stray), `is no field here; there are ${[...this.#known].toSorted().join(", ")}`);
  }

  refuse(key: string, want: string): StatusError {
    return invalid(this.pathOf(key), want);
  }
}

/** The complaint about one field. */
export function invalid(field: string, want: string): StatusError {
  return new StatusError("TASK_MANIFEST_INVALID", field === "servable.yaml" ? `servable.yaml ${want}` : `servable.yaml: ${field} ${want}`, { metadata: { field } });
}
