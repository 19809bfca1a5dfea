import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Tensor } from "@servable/tensor";
import type { Feeds } from "@servable/trainer";
import { encodeSafetensors } from "@servable/weights";

/** Steps of the peer: milliseconds of wall clock and of CPU for each, and the losses. */
export interface PeerSteps {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly losses: readonly number[];
}

/** PyTorch in another process, which trains the same models from the same weights. */
export interface TorchPeer extends Disposable {
  readonly version: string;
  load(model: string, threads: number, weights: ReadonlyMap<string, Tensor>, batches: readonly Feeds[]): Promise<void>;
  steps(optimizer: "default" | "fused", count: number): Promise<PeerSteps>;
}

/** @param python command with PyTorch; undefined when it cannot be started or has no torch */
export async function startTorchPeer(python: string): Promise<TorchPeer | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "torch-peer-"));
  const child: ChildProcess = spawn(python, [new URL("torch_peer.py", import.meta.url).pathname], { stdio: ["pipe", "pipe", "ignore"] });
  const failed = new Promise<undefined>((resolve) => child.once("error", () => resolve(undefined)).once("exit", () => resolve(undefined)));
  if (child.stdout === null) return undefined;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await Promise.race([lines.next(), failed]);
    if (line === undefined || line.done === true) throw new Error("the PyTorch peer ended");
    return JSON.parse(line.value);
  };
  const ask = (command: object): Promise<unknown> => {
    child.stdin?.write(`${JSON.stringify(command)}\n`);
    return next();
  };
  const hello = await next().catch(() => undefined);
  if (hello === undefined) return undefined;
  return {
    version: (hello as { version: string }).version,
    async load(model, threads, weights, batches) {
      writeFileSync(join(folder, "weights"), encodeSafetensors({ tensors: weights }));
      writeFileSync(join(folder, "batches"), encodeSafetensors({ tensors: new Map(batches.flatMap((batch, index) => Object.entries(batch).map(([name, { data, shape }]): [string, Tensor] => [`${index}/${name}`, { datatype: data instanceof BigInt64Array ? "INT64" : "FP32", shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }]))) }));
      await ask({ do: "load", model, threads, weights: join(folder, "weights"), batches: join(folder, "batches") });
    },
    steps: (optimizer, count) => ask({ do: "steps", optimizer, count }) as Promise<PeerSteps>,
    [Symbol.dispose]() {
      child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
