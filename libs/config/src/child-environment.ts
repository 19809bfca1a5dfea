import type { Env } from "./env.ts";

/**
 * What a child process that runs strangers' graphs or data may know of its service's environment: where programs are, and
 * how to log and trace. No secret of Servable is among it; OTEL_EXPORTER_OTLP_HEADERS is, since children send their own spans.
 */
export function childEnvironment(env: Env): Record<string, string> {
  const passed = Object.entries(env).filter(([name, value]) => value !== undefined && (name === "PATH" || name === "SERVABLE_LOG_LEVEL" || name === "SERVABLE_TRACE_DIR" || name.startsWith("OTEL_")));
  // onnxruntime would send usage reports to its maker.
  return { ...(Object.fromEntries(passed) as Record<string, string>), NODE_ENV: "production", ORT_DISABLE_TELEMETRY: "1" };
}
