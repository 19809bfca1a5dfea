import { SpanKind, SpanStatusCode, context, propagation, trace, type Context, type Span } from "@opentelemetry/api";
import type { Metadata } from "@grpc/grpc-js";

const GETTER = {
  get: (metadata: Metadata, key: string): string | undefined => {
    const value = metadata.get(key)[0];
    return typeof value === "string" ? value : undefined;
  },
  keys: (metadata: Metadata): string[] => Object.keys(metadata.getMap()),
};
const SETTER = { set: (metadata: Metadata, key: string, value: string): void => metadata.set(key, value) };

/**
 * Codes that are the server's own failure; "no such model" is an answer like any other.
 *
 * Source: OpenTelemetry semantic conventions for gRPC, https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
 */
const SERVER_FAULTS: ReadonlySet<string> = new Set(["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"]);

const tracer = () => trace.getTracer("@servable/grpc");

/** The span of one side of a call, with the context in which its work runs. */
export interface CallSpan {
  readonly context: Context;
  readonly span: Span;
  /** Ends the span with the call's gRPC code name. */
  end(code: string): void;
}

/** Starts the span of a served call under the caller's W3C context. */
export function startServerSpan(method: string, metadata: Metadata): CallSpan {
  return startSpan(method, SpanKind.SERVER, propagation.extract(context.active(), metadata, GETTER));
}

/** Starts the span of an outgoing call and writes its W3C context into the metadata. */
export function startClientSpan(method: string, metadata: Metadata): CallSpan {
  const started = startSpan(method, SpanKind.CLIENT, context.active());
  propagation.inject(started.context, metadata, SETTER);
  return started;
}

function startSpan(method: string, kind: SpanKind, parent: Context): CallSpan {
  const [, service = "", name = ""] = method.split("/");
  const span = tracer().startSpan(`${service}/${name}`, { kind, attributes: { "rpc.system": "grpc", "rpc.service": service, "rpc.method": name } }, parent);
  return {
    span,
    context: trace.setSpan(parent, span),
    end(code) {
      span.setAttribute("rpc.grpc.status_code", code);
      if (kind === SpanKind.SERVER ? SERVER_FAULTS.has(code) : code !== "OK") span.setStatus({ code: SpanStatusCode.ERROR, message: code });
      span.end();
    },
  };
}
