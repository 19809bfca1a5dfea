import { readEnv, type Env } from "@servable/config";
import { StatusError, exitCodeOf } from "@servable/errors";
import { createLogger } from "./logger.ts";
import { startTelemetry, type TelemetryOptions } from "./setup.ts";

/** A started service. */
export interface RunningService extends AsyncDisposable {
  /** Told to the supervisor, and logged. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/**
 * The life of a service process, the same for all: telemetry, start, "ready", wait for SIGTERM or SIGINT (or for the
 * supervisor to go), drain, exit code 0. A start that fails writes one line to stderr and exits with the code of its reason.
 */
export async function runService(name: string, start: (env: Env) => Promise<RunningService>, { collectsMetrics = false }: Pick<TelemetryOptions, "collectsMetrics"> = {}): Promise<void> {
  const logger = createLogger(name);
  try {
    const env = readEnv(process.env);
    const metricsPort = env.optional("SERVABLE_METRICS_PORT");
    await using telemetry = await startTelemetry({
      service: name,
      env: process.env,
      collectsMetrics,
      ...(metricsPort === undefined ? {} : { metrics: { host: env.string("SERVABLE_HOST", "127.0.0.1"), port: env.port("SERVABLE_METRICS_PORT", 8002) } }),
    });
    const stopped = stopRequested();
    await using service = await start(process.env);
    const { metricsAddress } = telemetry;
    const ready = metricsAddress === undefined ? service.ready : { ...service.ready, metricsAddress };
    logger.info({ event: "ready", ...ready });
    process.send?.({ type: "ready", ...ready });
    const why = await stopped;
    logger.info({ event: "stopping", why });
  } catch (error) {
    const failure = StatusError.from(error);
    if (failure.reason === "INTERNAL") logger.fatal({ event: "start_failed", err: failure.cause ?? error });
    else process.stderr.write(`${name}: ${failure.message} (${failure.reason})\n`);
    process.exitCode = exitCodeOf(failure);
  }
  // An open IPC channel would keep the process alive.
  if (process.connected) process.disconnect?.();
}

function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve(signal));
    // A service must not outlive the supervisor that would stop it.
    process.once("disconnect", () => resolve("supervisor gone"));
  });
}
