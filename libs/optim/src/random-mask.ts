// Dropout masks from a counter: element i of a mask is a hash of (key, i), and the key one of (seed, step, batch, name). Nothing
// is carried from step to step, so a resumed training draws what it would have drawn. Source of both hashes, bijections of 32
// bits: Wellons, hash-prospector ("triple32", "lowbias32").

import { instantiate, wasmMemory, type WasmMemory } from "./kernel/machine.ts";
import { encodeModule, signed, unsigned, type WasmFunction } from "./kernel/wasm-module.ts";

/** Masks of a training graph, in one memory. */
export interface RandomMasks {
  /** Views by name, filled by {@link fill}. */
  readonly masks: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** Draws all masks of a batch. */
  fill(seed: bigint, step: number, batch: number): void;
}

/** A mask: zeros with chance `rate`, 1/(1-rate) elsewhere. */
export interface MaskSize {
  readonly name: string;
  readonly size: number;
  readonly rate: number;
}

/** @throws RangeError when the masks take more memory than there is */
export function randomMasks(sizes: readonly MaskSize[]): RandomMasks {
  let bytes = 0;
  const placed = sizes.map(({ name, size, rate }) => {
    const address = bytes;
    bytes += Math.ceil(size / 16) * 64;
    return { address, name, size, rate, stream: streamOf(name) };
  });
  const memory: WasmMemory = wasmMemory(bytes);
  const kernel = instantiate(encodeModule([maskKernel()]), memory)["fill"] as (address: number, count: number, key0: number, key1: number, threshold: number, scale: number) => void;
  return {
    masks: new Map(placed.map(({ name, address, size }) => [name, new Float32Array(memory.buffer, address, size)])),
    fill(seed, step, batch) {
      for (const { address, size, rate, stream } of placed) {
        if (size === 0) continue;
        const [key0, key1] = maskKey(seed, step, batch, stream);
        kernel(address, Math.ceil(size / 4) * 4, key0, key1, thresholdOf(rate), 1 / (1 - rate));
      }
    },
  };
}

/** The plain form of a mask. */
export function referenceMask({ name, size, rate }: MaskSize, seed: bigint, step: number, batch: number): Float32Array {
  const [key0, key1] = maskKey(seed, step, batch, streamOf(name));
  const scale = Math.fround(1 / (1 - rate));
  return Float32Array.from({ length: size }, (_, index) => {
    let x = (index + key0) >>> 0;
    for (const [shift, factor] of TRIPLE32) x = Math.imul(x ^ (x >>> shift), factor);
    x = x ^ (x >>> 14) ^ key1;
    for (const [shift, factor] of LOWBIAS32) x = Math.imul(x ^ (x >>> shift), factor);
    return (x ^ (x >>> 16)) >>> 0 >= thresholdOf(rate) >>> 0 ? scale : 0;
  });
}

const TRIPLE32 = [[17, 0xed5ad4bb | 0], [11, 0xac4c1b51 | 0], [15, 0x31848bab]] as const;
const LOWBIAS32 = [[16, 0x7feb352d], [15, 0x846ca68b | 0]] as const;

function thresholdOf(rate: number): number {
  return Math.min(2 ** 32 - 1, Math.round(rate * 2 ** 32)) | 0;
}

const MASK64 = (1n << 64n) - 1n;

function streamOf(name: string): bigint {
  let state = 0n;
  for (const byte of new TextEncoder().encode(name)) state = mix(state + BigInt(byte) + 0x9e3779b97f4a7c15n);
  return state;
}

function maskKey(seed: bigint, step: number, batch: number, stream: bigint): [number, number] {
  const key = [BigInt(step), BigInt(batch), stream].reduce((state, part) => mix(state + part + 0x9e3779b97f4a7c15n), mix(seed));
  return [Number(key & 0xffffffffn) | 0, Number(key >> 32n) | 0];
}

/** The finaliser of SplitMix64. */
function mix(value: bigint): bigint {
  let z = value & MASK64;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK64;
  return z ^ (z >> 31n);
}

function maskKernel(): WasmFunction {
  const [address, count, key0, key1, threshold, scale, counter, x, four, keys, bounds, scales] = Array.from({ length: 12 }, (_, index) => index) as [number, number, number, number, number, number, number, number, number, number, number, number];
  const get = (local: number): number[] => [0x20, local];
  const set = (local: number): number[] => [0x21, local];
  const simd = (code: number): number[] => [0xfd, ...unsigned(code)];
  const i32 = (value: number): number[] => [0x41, ...signed(value)];
  const splat = (local: number, code: number): number[] => [...get(local), ...simd(code)];
  const xorShift = (shift: number): number[] => [...get(x), ...get(x), ...i32(shift), ...simd(0xad), ...simd(0x51)]; // x ^ (x >>> shift)
  const round = ([shift, factor]: readonly [number, number]): number[] => [...xorShift(shift), ...i32(factor), ...simd(0x11), ...simd(0xb5), ...set(x)];
  return {
    name: "fill",
    parameters: ["i32", "i32", "i32", "i32", "i32", "f32"],
    locals: ["v128", "v128", "v128", "v128", "v128", "v128"],
    code: [
      ...[...simd(0x0c), 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, ...splat(key0, 0x11), ...simd(0xae), ...set(counter)],
      ...[...i32(4), ...simd(0x11), ...set(four), ...splat(key1, 0x11), ...set(keys), ...splat(threshold, 0x11), ...set(bounds), ...splat(scale, 0x13), ...set(scales)],
      ...[0x03, 0x40, ...get(counter), ...set(x)],
      ...TRIPLE32.flatMap(round),
      ...[...xorShift(14), ...get(keys), ...simd(0x51), ...set(x)],
      ...LOWBIAS32.flatMap(round),
      ...[...xorShift(16), ...set(x)],
      ...[...get(address), ...get(x), ...get(bounds), ...simd(0x40), ...get(scales), ...simd(0x4e), ...simd(0x0b), 4, 0], // (x >= bound) and scale
      ...[...get(counter), ...get(four), ...simd(0xae), ...set(counter), ...get(address), ...i32(16), 0x6a, ...set(address)],
      ...[...get(count), ...i32(4), 0x6b, 0x22, count, 0x0d, 0, 0x0b],
    ],
  };
}
