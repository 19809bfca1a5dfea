import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { StatusError } from "@servable/errors";
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

/** A validator that runs each check in a process of its own; its promise rejects only when the signal aborts. */
export function createValidator({ timeoutMs, memoryBytesMax }: ValidatorOptions): Validator {
  const limits = hasPrlimit() ? ["prlimit", `--as=${memoryBytesMax}`, `--core=0`] : [];
  return (path, signal) => {
    const [command = process.execPath, ...args] = [...limits, process.execPath, WORKER, path];
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore", "ipc"], env: { PATH: process.env["PATH"], NODE_ENV: "production", ORT_DISABLE_TELEMETRY: "1" }, signal, killSignal: "SIGKILL" });
    const { promise, resolve, reject } = Promise.withResolvers<ValidationResult>();
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(refused(`loading or running it took longer than ${timeoutMs / 1000} s`));
    }, timeoutMs);
    // A caller who goes away has said nothing of the model: no verdict, so that it can be checked again.
    const decide = (verdict: ValidationResult): void => (signal.aborted ? reject(StatusError.from(signal.reason)) : resolve(verdict));
    child.once("message", (message) => resolve(message as ValidationResult));
    child.once("exit", (code, killer) => {
      const ended = (): void => decide(refused(`the process that loaded it ended (${killer ?? `code ${code}`}): it crashes onnxruntime or needs too much memory`));
      // The end of a process is told before what it said last: the channel closes only when all of it was read.
      if (child.connected) child.once("disconnect", ended);
      else ended();
    });
    child.once("error", (error) => decide(refused(`it could not be checked: ${error.message}`)));
    return promise.finally(() => clearTimeout(timer));
  };
}

function refused(why: string): ValidationResult {
  return { ok: false, reason: "MODEL_REFUSED", message: `the model is refused: ${why}` };
}
