// Spans of calls. Most processes record none, and the API's no-ops still cost microseconds a call: so whether anybody
// records is asked first, and a caller's W3C context is passed on either way.

import { ProxyTracerProvider, SpanKind, SpanStatusCode, context, isSpanContextValid, propagation, trace, type Context, type Span, type Tracer } from "@opentelemetry/api";

/** W3C header of a caller's context. */
const TRACEPARENT = "traceparent";

/**
 * Codes that are the server's own failure; "no such model" is an answer like any other.
 *
 * Source: OpenTelemetry semantic conventions for gRPC, https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
 */
const SERVER_FAULTS: ReadonlySet<string> = new Set(["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"]);

/** The span of one side of a call. */
export interface CallSpan {
  /** Runs work in the span's context. */
  run<T>(work: () => T): T;
  /** Ends the span with the call's gRPC code name. */
  end(code: string): void;
}

/** The span of a call that nobody records and no caller traces. */
export const UNTRACED: CallSpan = { run: (work) => work(), end: () => {} };

/** Reads one header of a call. */
export type HeaderGetter = (name: string) => string | undefined;

const GETTER = { get: (header: HeaderGetter, key: string): string | undefined => header(key), keys: (): string[] => [TRACEPARENT, "tracestate"] };

/** The tracer, or undefined while nobody records. */
function tracer(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  // Only the proxy knows whether a provider stands behind it.
  return provider instanceof ProxyTracerProvider ? provider.getDelegateTracer("@servable/grpc") : provider.getTracer("@servable/grpc");
}

/** Starts the span of a served call under the caller's W3C context. */
export function startServerSpan(method: string, header: HeaderGetter): CallSpan {
  const recorder = tracer();
  if (recorder === undefined && header(TRACEPARENT) === undefined) return UNTRACED;
  const parent = propagation.extract(context.active(), header, GETTER);
  return recorder === undefined ? { run: (work) => context.with(parent, work), end: () => {} } : startSpan(recorder, method, SpanKind.SERVER, parent).span;
}

/** Starts the span of an outgoing call and writes its W3C context into the headers. */
export function startClientSpan(method: string, headers: Record<string, string>): CallSpan {
  const recorder = tracer();
  const parent = context.active();
  if (recorder !== undefined) {
    const started = startSpan(recorder, method, SpanKind.CLIENT, parent);
    propagation.inject(started.context, headers);
    return started.span;
  }
  const traced = trace.getSpanContext(parent);
  if (traced !== undefined && isSpanContextValid(traced)) propagation.inject(parent, headers);
  return UNTRACED;
}

function startSpan(recorder: Tracer, method: string, kind: SpanKind, parent: Context): { context: Context; span: CallSpan } {
  const [, service = "", name = ""] = method.split("/");
  const span: Span = recorder.startSpan(`${service}/${name}`, { kind, attributes: { "rpc.system": "grpc", "rpc.service": service, "rpc.method": name } }, parent);
  const own = trace.setSpan(parent, span);
  return {
    context: own,
    span: {
      run: (work) => context.with(own, work),
      end(code) {
        span.setAttribute("rpc.grpc.status_code", code);
        if (kind === SpanKind.SERVER ? SERVER_FAULTS.has(code) : code !== "OK") span.setStatus({ code: SpanStatusCode.ERROR, message: code });
        span.end();
      },
    },
  };
}
