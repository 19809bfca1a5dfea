import { connect } from "node:net";
import { StatusError } from "@servable/errors";

const PROBE_MS = 1_000;

/** Thrown around failures of calls, so that the explanation can name where the call went. */
export class CallFailure extends Error {
  override readonly name = "CallFailure";
  readonly address: string;

  constructor(address: string, cause: unknown) {
    super("call failed", { cause });
    this.address = address;
  }
}

/** What failed in words that say what to do next. */
export async function explainFailure(error: unknown): Promise<StatusError> {
  if (error instanceof CallFailure) {
    const failure = StatusError.from(error.cause);
    if (failure.reason === "SERVICE_UNAVAILABLE" && !(await answers(error.address))) {
      return new StatusError("SERVICE_UNAVAILABLE", `no platform answers at ${error.address}: start one with \`npm start\`, or say where it is with --address`, { cause: failure });
    }
    return failure;
  }
  const failure = StatusError.from(error);
  if (failure.reason !== "INTERNAL" || failure.cause === undefined) return failure;
  const message = failure.cause instanceof Error ? failure.cause.message : JSON.stringify(failure.cause);
  return new StatusError("INTERNAL", `unexpected: ${message}; run again with SERVABLE_DEBUG=1 for details`, { cause: failure.cause });
}

function answers(address: string): Promise<boolean> {
  const colon = address.lastIndexOf(":");
  const socket = address.startsWith("unix:") ? connect(address.slice("unix:".length)) : connect(Number(address.slice(colon + 1)), address.slice(0, colon));
  return new Promise((resolve) => {
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_MS, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
