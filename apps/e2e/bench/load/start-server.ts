import { spawn } from "node:child_process";
import { once } from "node:events";

/** A server in a process of its own; disposing kills it. */
export interface ServerProcess extends Disposable {
  readonly address: string;
  readonly pid: number;
}

/** Starts a program whose first line of output is its address. */
export async function startServerProcess(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<ServerProcess> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env });
  child.stdout.setEncoding("utf8");
  let text = "";
  const exited = once(child, "exit").then(() => {
    throw new Error(`${command} ended before it said where it listens`);
  });
  while (!text.includes("\n")) text += String((await Promise.race([once(child.stdout, "data"), exited]))[0]);
  exited.catch(() => {});
  return { address: text.split("\n")[0] ?? "", pid: child.pid ?? 0, [Symbol.dispose]: () => void child.kill("SIGKILL") };
}
