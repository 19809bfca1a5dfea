import type { ColumnData } from "@servable/preprocessing";
import type { ColumnKind } from "../records.ts";
import { momentOf, numberOf, textOf } from "./cells.ts";
import type { Cell } from "./row-source.ts";
import { detached } from "./text-pieces.ts";
import { TextStore } from "./text-store.ts";

/** Takes the cells of a column one by one and packs them. */
export interface ColumnBuilder {
  add(cell: Cell): void;
  finish(): ColumnData;
}

const FIRST_ROWS = 1024;

/** A builder for a column whose cells have been checked against its kind. */
export function columnBuilder(name: string, kind: Exclude<ColumnKind, "ignored">): ColumnBuilder {
  switch (kind) {
    case "numeric": {
      const values = new GrowingArray((length) => new Float32Array(length));
      return { add: (cell) => values.push(cell === undefined ? NaN : numberOf(cell)), finish: () => ({ name, kind, values: values.finish() }) };
    }
    case "datetime": {
      const values = new GrowingArray((length) => new Float64Array(length));
      return { add: (cell) => values.push(cell === undefined ? NaN : orderOf(cell)), finish: () => ({ name, kind, values: values.finish() }) };
    }
    case "categorical":
    case "boolean": {
      const codes = new GrowingArray((length) => new Int32Array(length));
      const dictionary = new Map<string, number>();
      const codeOf = (text: string): number => {
        const known = dictionary.get(text);
        if (known !== undefined) return known;
        dictionary.set(detached(text), dictionary.size);
        return dictionary.size - 1;
      };
      return { add: (cell) => codes.push(cell === undefined ? -1 : codeOf(textOf(cell))), finish: () => ({ name, kind, codes: codes.finish(), categories: [...dictionary.keys()] }) };
    }
    case "text": {
      const store = new TextStore();
      return {
        add: (cell) => store.push(cell === undefined ? undefined : textOf(cell)),
        finish: () => ({ name, kind, text: (row) => store.text(row) }),
      };
    }
    default: {
      const never: never = kind;
      throw new TypeError(`unknown kind ${String(never)}`);
    }
  }
}

/** A moment; of a column of numbers that is read as one, the number. */
function orderOf(cell: Cell): number {
  const moment = momentOf(cell);
  return Number.isNaN(moment) ? numberOf(cell) : moment;
}

/** A typed array that grows by doubling. */
export class GrowingArray<A extends Float32Array | Float64Array | Int32Array | Uint32Array> {
  readonly #make: (length: number) => A;
  #values: A;
  #length = 0;

  constructor(make: (length: number) => A) {
    this.#make = make;
    this.#values = make(FIRST_ROWS);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = this.#make(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** The values, in an array of their length. */
  finish(): A {
    return this.#values.slice(0, this.#length) as A;
  }
}
