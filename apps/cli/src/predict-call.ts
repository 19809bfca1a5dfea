import { StatusError, type Reason, REASONS } from "@servable/errors";

/** Where and as whom a prediction is asked for. */
export interface PredictCall {
  readonly httpAddress: string;
  readonly apiKey: string | undefined;
  readonly model: string;
  readonly body: unknown;
  /** Begins the trace of the call. */
  readonly traceparent?: string | undefined;
}

/** `POST /v1/models/{model}:predict`. @throws StatusError with the gateway's reason */
export function callPredict({ model, ...call }: PredictCall): Promise<unknown> {
  return callGateway({ ...call, path: `/v1/models/${encodeURIComponent(model)}:predict` });
}

/** Posts JSON to the gateway and answers its JSON. @throws StatusError with the gateway's reason */
export async function callGateway({ httpAddress, apiKey, path, body, traceparent }: Omit<PredictCall, "model"> & { readonly path: string }): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(`http://${httpAddress}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }), ...(traceparent === undefined ? {} : { traceparent }) },
      body: JSON.stringify(body),
    });
  } catch (error) {
    throw new StatusError("SERVICE_UNAVAILABLE", `no platform answers at http://${httpAddress}: start one with \`npm start\`, or say where it is with --http-address`, { cause: error });
  }
  const answer = await response.text();
  if (response.ok) return JSON.parse(answer) as unknown;
  throw failureOf(response.status, answer);
}

function failureOf(status: number, answer: string): StatusError {
  const { message, reason } = errorFields(answer);
  const known: Reason = reason !== undefined && reason in REASONS ? (reason as Reason) : status === 503 ? "SERVICE_UNAVAILABLE" : "INTERNAL";
  return new StatusError(known, message ?? `the gateway answered HTTP ${status}`);
}

/** The error body is `{"error": {"message", "reason", …}}` or, in the Open Inference Protocol's form, `{"error": "message"}`. */
function errorFields(answer: string): { message?: string | undefined; reason?: string | undefined } {
  try {
    const body = JSON.parse(answer) as Record<string, unknown>;
    const error = body["error"];
    const fields = typeof error === "object" && error !== null ? (error as Record<string, unknown>) : { message: error, ...body };
    const text = (key: string): string | undefined => (typeof fields[key] === "string" ? fields[key] : undefined);
    return { message: text("message"), reason: text("reason") };
  } catch {
    return {};
  }
}
