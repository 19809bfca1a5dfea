export { REASONS, type Reason, type StatusCode } from "./reasons.ts";
export { StatusError, shortened, type StatusErrorOptions } from "./status-error.ts";
export { exitCodeOf, httpStatusOf } from "./http-status.ts";
