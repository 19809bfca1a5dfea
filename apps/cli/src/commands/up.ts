import { Command } from "commander";
import { readEnv } from "@servable/config";
import { dataDirOf, withDataDir } from "../common-options.ts";
import { wholeNumber } from "../option-parsers.ts";
import { stopSignal } from "../stop-signal.ts";
import { startPlatform } from "../supervisor/platform.ts";
import type { ServiceEvent } from "../supervisor/supervised-service.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface UpOptions {
  readonly dataDir?: string;
  readonly replicas: number;
  readonly trace?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** `servable up`: the platform, until it is told to stop. */
export function upCommand(terminal: Terminal): Command {
  return withDataDir(new Command("up"))
    .description("Start the platform (model-registry, training, inference, gateway) and keep it running.")
    .option("--replicas <n>", "inference processes", wholeNumber(1), 1)
    .option("--trace", "record traces for `servable trace`")
    .option("--verbose", "show all log lines, not only errors")
    .option("--json", "print the ready line as JSON")
    .addHelpText(
      "after",
      `
Prints one line with the addresses when everything serves. A service that crashes is started again; the others stay up.
SIGTERM or Ctrl-C drains and exits 0. Logs are in <data-dir>/logs.

Examples:
  $ servable up
  $ servable up --replicas 2 --trace
  $ SERVABLE_GRPC_PORT=9001 SERVABLE_HTTP_PORT=9000 SERVABLE_METRICS_PORT=9002 servable up --data-dir /tmp/try

Environment: SERVABLE_HOST, SERVABLE_GRPC_PORT, SERVABLE_HTTP_PORT, SERVABLE_METRICS_PORT, SERVABLE_DATA_DIR,
SERVABLE_DATABASE_URL, SERVABLE_BOOTSTRAP_API_KEY, SERVABLE_AUTH=none (no keys; trusted networks only)`,
    )
    .action((options: UpOptions) => up(options, terminal));
}

async function up(options: UpOptions, terminal: Terminal): Promise<void> {
  const env = readEnv(terminal.env);
  using stop = stopSignal();
  await using platform = await startPlatform({
    dataDir: dataDirOf(options, terminal.env),
    host: env.string("SERVABLE_HOST", "127.0.0.1"),
    grpcPort: env.port("SERVABLE_GRPC_PORT", 8001),
    httpPort: env.port("SERVABLE_HTTP_PORT", 8000),
    metricsPort: env.port("SERVABLE_METRICS_PORT", 8002),
    replicas: options.replicas,
    trace: options.trace,
    verbose: options.verbose,
    env: { ...terminal.env },
    onEvent: (event) => showEvent(event, terminal),
    onLine: (service, line) => terminal.stderr.write(`[${service}] ${line}\n`),
  });
  const { grpcAddress, httpAddress, metricsAddress, dataDir, adminKey, adminKeyIsNew } = platform;
  if (options.json === true) printJson(terminal, { ready: true, grpcAddress, httpAddress, metricsAddress, dataDir });
  if (adminKeyIsNew) terminal.stderr.write(`Admin API key, shown once and kept for the local command line in ${dataDir}/admin-key: ${adminKey}\n`);
  if (process.env["SERVABLE_AUTH"] === "none") terminal.stderr.write("servable: warning: SERVABLE_AUTH=none, whoever reaches the ports is an admin; never use it outside a trusted network\n");
  if (options.json !== true) printLine(terminal, `servable is ready: gRPC ${grpcAddress}, HTTP http://${httpAddress}, metrics http://${metricsAddress}/metrics, data ${dataDir}`);
  await stop.requested;
}

function showEvent(event: ServiceEvent, terminal: Terminal): void {
  if (event.kind === "exited") terminal.stderr.write(`servable: ${event.service} ended (${event.how}); starting it again in ${event.waitMs} ms\n`);
  else if (event.again) terminal.stderr.write(`servable: ${event.service} serves again\n`);
}
