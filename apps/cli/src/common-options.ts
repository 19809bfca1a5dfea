import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { ServableClient, type RetryPolicy } from "@servable/client";
import { CallFailure } from "./explain-failure.ts";
import { readPlatformInfo } from "./supervisor/instance-lock.ts";
import type { Terminal } from "./terminal.ts";

/** What every command that calls a platform takes. */
export interface CommonOptions {
  readonly address?: string;
  readonly httpAddress?: string;
  readonly apiKey?: string;
  readonly dataDir?: string;
  readonly project?: string;
  readonly json?: boolean | string;
}

/** Where to call and as whom, after flags, environment and data directory were asked in this order. */
export interface Target {
  readonly address: string;
  readonly httpAddress: string;
  readonly apiKey: string | undefined;
  readonly project: string;
  /** Patient where a platform is known to run, since then whatever is away comes back; quick where there may be none. */
  readonly retry: RetryPolicy;
}

const RETRY_KNOWN: RetryPolicy = { attemptsMax: 8 };
const RETRY_UNKNOWN: RetryPolicy = { attemptsMax: 3 };

/** Adds the options of {@link CommonOptions}. */
export function withCommonOptions(command: Command): Command {
  return withTarget(command).option("--json", "print JSON for scripts");
}

/** The same without `--json`. */
export function withTarget(command: Command): Command {
  return withDataDir(command)
    .option("--address <host:port>", "gRPC address of the gateway (SERVABLE_ADDRESS; default: the platform of the data directory, else 127.0.0.1:8001)")
    .option("--http-address <host:port>", "HTTP address of the gateway (SERVABLE_HTTP_ADDRESS; default likewise, else 127.0.0.1:8000)")
    .option("--api-key <key>", "API key (SERVABLE_API_KEY; default: the admin key kept in the data directory)")
    .option("--project <id>", "project (SERVABLE_PROJECT; default: default)");
}

/** Adds `--data-dir` alone, for commands that call nobody. */
export function withDataDir(command: Command): Command {
  return command.option("--data-dir <folder>", "data directory (SERVABLE_DATA_DIR; default .servable)");
}

/** The data directory that options and environment name. */
export function dataDirOf(options: Pick<CommonOptions, "dataDir">, env: Terminal["env"]): string {
  return options.dataDir ?? (env["SERVABLE_DATA_DIR"] || ".servable");
}

/** Finds out where to call and as whom. */
export function targetOf(options: CommonOptions, env: Terminal["env"]): Target {
  const dataDir = dataDirOf(options, env);
  const platform = readPlatformInfo(dataDir);
  const host = env["SERVABLE_HOST"] || "127.0.0.1";
  return {
    address: options.address ?? (env["SERVABLE_ADDRESS"] || (platform?.grpcAddress ?? `${host}:${env["SERVABLE_GRPC_PORT"] || "8001"}`)),
    httpAddress: options.httpAddress ?? (env["SERVABLE_HTTP_ADDRESS"] || (platform?.httpAddress ?? `${host}:${env["SERVABLE_HTTP_PORT"] || "8000"}`)),
    apiKey: options.apiKey ?? (env["SERVABLE_API_KEY"] || (adminKeyOf(dataDir) ?? (env["SERVABLE_BOOTSTRAP_API_KEY"] || undefined))),
    project: options.project ?? (env["SERVABLE_PROJECT"] || "default"),
    retry: platform === undefined ? RETRY_UNKNOWN : RETRY_KNOWN,
  };
}

/** Runs work with a client and closes it; failures carry the address that was called. */
export async function withClient<T>(options: CommonOptions, terminal: Terminal, work: (client: ServableClient, target: Target) => Promise<T>): Promise<T> {
  const target = targetOf(options, terminal.env);
  using client = new ServableClient(target);
  try {
    return await work(client, target);
  } catch (error) {
    throw new CallFailure(target.address, error);
  }
}

function adminKeyOf(dataDir: string): string | undefined {
  const path = join(dataDir, "admin-key");
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
}

/** "projects/default/models/mnist" → "mnist". */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
