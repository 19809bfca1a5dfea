import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPlatform, type Platform } from "@servable/cli";
import { ServableClient } from "@servable/client";

/** How a test's platform differs from the usual one. */
export interface TestPlatformOptions {
  /** Set for all services. */
  readonly env?: NodeJS.ProcessEnv;
  /** Inference processes. @default 1 */
  readonly replicas?: number;
  /** Writes spans to the data directory. @default true */
  readonly trace?: boolean;
}

/** A platform of its own: the four services as processes, on free ports, over a temporary data directory. */
export class TestPlatform implements AsyncDisposable {
  readonly dataDir: string;
  readonly #options: TestPlatformOptions;
  #platform: Platform;
  #client: ServableClient;

  private constructor(dataDir: string, options: TestPlatformOptions, platform: Platform) {
    this.dataDir = dataDir;
    this.#options = options;
    this.#platform = platform;
    this.#client = clientOf(platform);
  }

  /** Starts one. */
  static async create(options: TestPlatformOptions = {}): Promise<TestPlatform> {
    const dataDir = mkdtempSync(join(tmpdir(), "sv-e2e-"));
    return new TestPlatform(dataDir, options, await start(dataDir, options));
  }

  get platform(): Platform {
    return this.#platform;
  }

  /** Speaks with the admin key. */
  get client(): ServableClient {
    return this.#client;
  }

  get apiKey(): string {
    return this.#platform.adminKey ?? "";
  }

  /** The secret that services show each other. */
  get internalToken(): string {
    return readFileSync(join(this.dataDir, "internal-token"), "utf8").trim();
  }

  /** Stops all services and starts them again over the same data. */
  async restart(): Promise<void> {
    this.#client.close();
    await this.#platform[Symbol.asyncDispose]();
    this.#platform = await start(this.dataDir, this.#options);
    this.#client = clientOf(this.#platform);
  }

  /** One HTTP call with the admin key. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#httpBase}${path}`, { ...init, headers: { "x-api-key": this.apiKey, ...init.headers } });
  }

  get #httpBase(): string {
    const { httpAddress } = this.#platform;
    return httpAddress.startsWith("http") ? httpAddress : `http://${httpAddress}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    await this.#platform[Symbol.asyncDispose]();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

function start(dataDir: string, { env, replicas = 1, trace = true }: TestPlatformOptions): Promise<Platform> {
  return startPlatform({ dataDir, grpcPort: 0, httpPort: 0, metricsPort: 0, trace, replicas, env: { ...process.env, SERVABLE_LOG_LEVEL: "warn", ...env } });
}

function clientOf({ grpcAddress, adminKey }: Platform): ServableClient {
  return new ServableClient({ address: grpcAddress, apiKey: adminKey });
}
