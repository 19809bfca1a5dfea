/**
 * What becomes of a setting: "honoured" as Triton does; "adapted" = the same end by other means; "ignored" = without it the
 * model gives the same answers; "not honoured" = it does less than was asked.
 */
export type Verdict = "honoured" | "adapted" | "ignored" | "not honoured";
