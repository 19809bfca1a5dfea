import { join } from "node:path";
import { retrying, type RetryPolicy, type ServableClient } from "@servable/client";
import { StatusError } from "@servable/errors";
import { activeTraceparent, withSpan } from "@servable/telemetry";
import { callPredict } from "../predict-call.ts";
import type { Platform } from "../supervisor/platform.ts";
import { printLine, type Terminal } from "../terminal.ts";

/** Long enough for any service to be killed and to come back. */
export const PATIENCE: RetryPolicy = { attemptsMax: 10 };

/** What the steps of the quickstart share. */
export interface Tour {
  readonly client: ServableClient;
  readonly platform: Platform;
  readonly terminal: Terminal;
  /** A folder for files of the steps. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** A heading, so that the eye finds the steps. */
export function heading({ terminal }: Pick<Tour, "terminal">, text: string): void {
  printLine(terminal, `\n── ${text} ${"─".repeat(Math.max(0, 90 - text.length))}`);
}

/** Where a call stands in its trace. */
export interface CallPlace {
  readonly traceId: string;
  readonly spanId: string;
}

/** One predict call over REST, with the place of its span. */
export async function predictOverRest({ platform, signal }: Tour, model: string, body: unknown): Promise<{ answer: Record<string, unknown>; place: CallPlace }> {
  return retrying(
    () =>
      withSpan(`predict ${model} over REST`, {}, async (span) => {
        const answer = await callPredict({ httpAddress: platform.httpAddress, apiKey: platform.adminKey, model, body, traceparent: activeTraceparent() });
        const { traceId, spanId } = span.spanContext();
        return { answer: answer as Record<string, unknown>, place: { traceId, spanId } };
      }),
    PATIENCE,
    signal,
  );
}

/** The quickstart's own checks: an answer that is not good fails the run. @throws StatusError `INTERNAL` */
export function expect(fine: boolean, what: string): void {
  if (!fine) throw new StatusError("INTERNAL", `the quickstart expected that ${what}`, { cause: new Error(what) });
}

/** Where the tour's platform writes its spans. */
export function traceDirOf({ platform }: Tour): string {
  return platform.traceDir ?? join(platform.dataDir, "traces");
}
