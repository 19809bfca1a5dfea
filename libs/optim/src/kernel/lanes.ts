// Kernels over arrays, four numbers at a time. A kernel says what becomes of one lane; this turns it into a loop of SIMD
// instructions. What an expression is used for twice must be kept in a local, as in any stack machine.

import { signed, unsigned, type WasmFunction, type WasmType } from "./wasm-module.ts";

/** Instructions that leave one vector of four f32 on the stack. */
export type Lane = readonly number[] & { readonly __brand?: "lane" };

/** An elementwise update: arrays of equal length in, some of them changed in place. */
export interface Kernel {
  /** Arrays by name, in the order of the pointers. */
  readonly arrays: readonly string[];
  /** Numbers by name, in the order of the arguments after the count. */
  readonly scalars: readonly string[];
  readonly body: (lanes: Lanes) => void;
}

const SIMD = (code: number): number[] => [0xfd, ...unsigned(code)];
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;

const SMALLEST_NORMAL = 2 ** -126;

/**
 * 0 in place of a number below f32's normal range. A momentum without gradients fades to such numbers within 800 steps and stays
 * there; processors take 2.5 to 20 times as long for them, and no parameter would notice.
 */
export function flushed(value: number): number {
  return Math.abs(value) < SMALLEST_NORMAL ? 0 : value;
}

/** What the body of a kernel is written with. */
export class Lanes {
  readonly #kernel: Kernel;
  readonly #zeros: ReadonlySet<string>;
  readonly statements: number[] = [];
  #kept = 0;

  /** @param zeros arrays that are known to hold zeros: they are not read */
  constructor(kernel: Kernel, zeros: ReadonlySet<string>) {
    this.#kernel = kernel;
    this.#zeros = zeros;
  }

  /** Vectors that are kept. */
  get kept(): number {
    return this.#kept;
  }

  load(array: string): Lane {
    if (this.#zeros.has(array)) return this.constant(0);
    return this.keep([LOCAL_GET, ...unsigned(this.#kernel.arrays.indexOf(array)), ...SIMD(0x00), 4, 0]);
  }

  store(array: string, lane: Lane): void {
    this.statements.push(LOCAL_GET, ...unsigned(this.#kernel.arrays.indexOf(array)), ...lane, ...SIMD(0x0b), 4, 0);
  }

  /** An argument of the call, in every lane. */
  scalar(name: string): Lane {
    const { arrays, scalars } = this.#kernel;
    return [LOCAL_GET, ...unsigned(arrays.length + 1 + scalars.length + scalars.indexOf(name))];
  }

  constant(value: number): Lane {
    const bytes = [...new Uint8Array(Float32Array.of(value, value, value, value).buffer)];
    return [...SIMD(0x0c), ...bytes];
  }

  /** The same value, computed here and read from a local afterwards. */
  keep(lane: Lane): Lane {
    const { arrays, scalars } = this.#kernel;
    const local = unsigned(arrays.length + 1 + 2 * scalars.length + this.#kept++);
    this.statements.push(...lane, LOCAL_SET, ...local);
    return [LOCAL_GET, ...local];
  }

  add = (a: Lane, b: Lane): Lane => [...a, ...b, ...SIMD(0xe4)];
  sub = (a: Lane, b: Lane): Lane => [...a, ...b, ...SIMD(0xe5)];
  mul = (a: Lane, b: Lane): Lane => [...a, ...b, ...SIMD(0xe6)];
  div = (a: Lane, b: Lane): Lane => [...a, ...b, ...SIMD(0xe7)];
  min = (a: Lane, b: Lane): Lane => [...a, ...b, ...SIMD(0xe8)];
  max = (a: Lane, b: Lane): Lane => [...a, ...b, ...SIMD(0xe9)];
  sqrt = (a: Lane): Lane => [...a, ...SIMD(0xe3)];

  /** 0 in place of subnormal numbers, see {@link flushed}. */
  flush(a: Lane): Lane {
    const kept = this.keep(a);
    const tiny = [...kept, ...SIMD(0xe0), ...this.constant(SMALLEST_NORMAL), ...SIMD(0x43)]; // |a| < smallest
    return this.keep([...kept, ...tiny, ...SIMD(0x4f)]); // a and not tiny
  }

  /** 1, 0 or -1. */
  sign(a: Lane): Lane {
    const kept = this.keep(a);
    const one = this.constant(1);
    const positive = [...kept, ...this.constant(0), ...SIMD(0x44), ...one, ...SIMD(0x4e)]; // (a > 0) and 1
    const negative = [...kept, ...this.constant(0), ...SIMD(0x43), ...one, ...SIMD(0x4e)]; // (a < 0) and 1
    return this.sub(positive, negative);
  }
}

/**
 * The loop of a kernel as a function: pointers to the arrays, the count of numbers (a multiple of 4, more than 0), scalars.
 *
 * @param zeros arrays that hold zeros: their pointers are ignored
 */
export function loopOf(name: string, kernel: Kernel, zeros: readonly string[] = []): WasmFunction {
  const { arrays, scalars } = kernel;
  const count = arrays.length;
  const lanes = new Lanes(kernel, new Set(zeros));
  kernel.body(lanes);
  const splats = scalars.flatMap((_, index) => [LOCAL_GET, ...unsigned(count + 1 + index), ...SIMD(0x13), LOCAL_SET, ...unsigned(count + 1 + scalars.length + index)]);
  const advance = arrays.flatMap((_, index) => [LOCAL_GET, ...unsigned(index), 0x41, 16, 0x6a, LOCAL_SET, ...unsigned(index)]); // pointer += 16
  const more = [LOCAL_GET, ...unsigned(count), 0x41, 4, 0x6b, 0x22, ...unsigned(count), 0x0d, 0]; // (count -= 4) != 0: again
  return {
    name,
    parameters: [...arrays.map((): WasmType => "i32"), "i32", ...scalars.map((): WasmType => "f32")],
    locals: [...scalars.map((): WasmType => "v128"), ...Array.from({ length: lanes.kept }, (): WasmType => "v128")],
    code: [...splats, 0x03, 0x40, ...lanes.statements, ...advance, ...more, 0x0b],
  };
}

/**
 * Σ x² of an array as f64: pointer, count (a multiple of 4·`vectors`, more than 0). Pairs of f64 are summed apart, two for each
 * vector of a round: a sum of 10⁸ squares keeps its digits, and no addition waits for the one before.
 */
export function sumOfSquares(name: string, vectors: number): WasmFunction {
  const [pointer, count, x, wide, sums] = [0, 1, 2, 3, 4];
  const upper = [...SIMD(0x0d), 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]; // i8x16.shuffle
  // sums[local] += wide², as f64x2
  const accumulate = (half: readonly number[], local: number): number[] => [...half, ...SIMD(0x5f), LOCAL_SET, wide, LOCAL_GET, local, LOCAL_GET, wide, LOCAL_GET, wide, ...SIMD(0xf2), ...SIMD(0xf0), LOCAL_SET, local];
  const round = Array.from({ length: vectors }, (_, at) => [
    ...[LOCAL_GET, pointer, ...SIMD(0x00), 4, ...unsigned(16 * at), LOCAL_SET, x],
    ...accumulate([LOCAL_GET, x], sums + 2 * at),
    ...accumulate([LOCAL_GET, x, LOCAL_GET, x, ...upper], sums + 2 * at + 1),
  ]);
  const total = Array.from({ length: 2 * vectors - 1 }, (_, at) => [LOCAL_GET, sums + at + 1, ...SIMD(0xf0)]);
  return {
    name,
    parameters: ["i32", "i32"],
    result: "f64",
    locals: ["v128", "v128", ...Array.from({ length: 2 * vectors }, (): WasmType => "v128")],
    code: [
      ...[0x03, 0x40, ...round.flat()],
      ...[LOCAL_GET, pointer, 0x41, ...signed(16 * vectors), 0x6a, LOCAL_SET, pointer],
      ...[LOCAL_GET, count, 0x41, ...signed(4 * vectors), 0x6b, 0x22, count, 0x0d, 0, 0x0b],
      ...[LOCAL_GET, sums, ...total.flat(), LOCAL_SET, sums],
      ...[LOCAL_GET, sums, ...SIMD(0x21), 0, LOCAL_GET, sums, ...SIMD(0x21), 1, 0xa0], // f64x2.extract_lane, f64.add
    ],
  };
}
