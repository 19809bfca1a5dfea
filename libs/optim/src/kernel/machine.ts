// The part of the WebAssembly API that is used: TypeScript declares it only for browsers.

/** Linear memory; its buffer is detached when it grows, so ours never do. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** Exported functions by name. */
export type WasmExports = Readonly<Record<string, (...args: number[]) => number>>;

interface WebAssemblyApi {
  readonly Memory: new (descriptor: { readonly initial: number; readonly maximum: number }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: { readonly env: { readonly memory: WasmMemory } }) => { readonly exports: WasmExports };
}

const PAGE_BYTES = 65_536;
const api = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;

/** Zeros; pages that nobody touches take no RAM. @throws RangeError when the machine refuses so much */
export function wasmMemory(bytes: number): WasmMemory {
  const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES));
  return new api.Memory({ initial: pages, maximum: pages });
}

/** The functions of a module over a memory. */
export function instantiate(module: Uint8Array<ArrayBuffer>, memory: WasmMemory): WasmExports {
  return new api.Instance(new api.Module(module), { env: { memory } }).exports;
}
