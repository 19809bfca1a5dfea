import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ValidationResult, Validator } from "../domain/artifact-store.ts";

/** Bounds of one check. */
export interface ValidatorOptions {
  /** Wall clock; then the process is killed and the model refused. */
  readonly timeoutMs: number;
  /** Address space, where the machine has `prlimit`. */
  readonly memoryBytesMax: number;
}

const WORKER = fileURLToPath(new URL("./validator-worker.ts", import.meta.url));
const hasPrlimit = (): boolean => spawnSync("prlimit", ["--version"], { stdio: "ignore" }).status === 0;

/** A validator that runs each check in a process of its own. */
export function createValidator({ timeoutMs, memoryBytesMax }: ValidatorOptions): Validator {
  const limits = hasPrlimit() ? ["prlimit", `--as=${memoryBytesMax}`, `--core=0`] : [];
  return (path, signal) => {
    const [command = process.execPath, ...args] = [...limits, process.execPath, WORKER, path];
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore", "ipc"], env: { PATH: process.env["PATH"], NODE_ENV: "production" }, signal, killSignal: "SIGKILL" });
    const { promise, resolve } = Promise.withResolvers<ValidationResult>();
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(refused(`loading or running it took longer than ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.once("message", (message) => resolve(message as ValidationResult));
    child.once("exit", (code, killer) => resolve(refused(`the process that loaded it ended (${killer ?? `code ${code}`}): it crashes onnxruntime or needs too much memory`)));
    child.once("error", (error) => resolve(refused(signal.aborted ? "the call was cancelled" : `it could not be checked: ${error.message}`)));
    return promise.finally(() => clearTimeout(timer));
  };
}

function refused(why: string): ValidationResult {
  return { ok: false, reason: "MODEL_REFUSED", message: `the model is refused: ${why}` };
}
