import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { changeLogSettings, type LogSettingValues } from "./log-settings.ts";
import { TraceSettings } from "./trace-settings.ts";

const DEFAULTS = { trace_file: "t.json", trace_level: ["TIMESTAMPS"], trace_rate: "1", trace_count: "-1", log_frequency: "0", trace_mode: "triton" };
const LOG: LogSettingValues = { log_file: "", log_info: true, log_warning: true, log_error: true, log_verbose_level: 0, log_format: "default" };
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as StatusError).code;
  }
  return "OK";
};

describe("trace settings", () => {
  it("reach a model from the global ones, except where it was given its own", () => {
    const traces = new TraceSettings(DEFAULTS);
    traces.update("m", { trace_rate: ["12"], log_frequency: ["34"] });
    traces.update("", { trace_rate: ["56"], trace_count: ["78"], trace_level: ["OFF"] });

    assert.deepEqual(traces.get("m"), { trace_file: ["t.json"], trace_level: ["OFF"], trace_rate: ["12"], trace_count: ["78"], log_frequency: ["34"], trace_mode: ["triton"] });
    assert.deepEqual(traces.update("", { trace_rate: undefined, trace_count: undefined }), { trace_file: ["t.json"], trace_level: ["OFF"], trace_rate: ["1"], trace_count: ["-1"], log_frequency: ["0"], trace_mode: ["triton"] });
    assert.deepEqual(traces.update("m", { trace_rate: undefined, trace_level: undefined })["trace_rate"], ["1"]);
    assert.deepEqual(traces.get("other")["log_frequency"], ["0"]);
  });

  it("trace one request in so many, and so many in all", () => {
    const traces = new TraceSettings(DEFAULTS);
    traces.update("m", { trace_rate: ["3"], trace_count: ["2"], trace_level: ["TIMESTAMPS", "TENSORS"] });

    const traced = Array.from({ length: 12 }, () => traces.decide("m") !== undefined);

    assert.deepEqual(traced.flatMap((each, index) => (each ? [index] : [])), [2, 5]);
    assert.deepEqual(traces.get("m")["trace_count"], ["0"]);
    assert.deepEqual(traces.decide("other"), { tensors: false, file: "t.json" });
  });

  it("trace nothing while the level is OFF", () => {
    const traces = new TraceSettings({ ...DEFAULTS, trace_level: ["OFF"] });
    assert.equal(traces.decide("m"), undefined);

    traces.update("m", { trace_level: ["TENSORS"] });

    assert.deepEqual(traces.decide("m"), { tensors: true, file: "t.json" });
    assert.equal(traces.decide("other"), undefined);
  });

  const refused: [string, Record<string, string[]>, string][] = [
    ["another file", { trace_file: ["/etc/x"] }, "UNIMPLEMENTED"],
    ["another mode", { trace_mode: ["opentelemetry"] }, "UNIMPLEMENTED"],
    ["OFF beside other levels", { trace_level: ["OFF", "TENSORS"] }, "INVALID_ARGUMENT"],
    ["an unknown level", { trace_level: ["MAX"] }, "INVALID_ARGUMENT"],
    ["a rate of 0", { trace_rate: ["0"] }, "INVALID_ARGUMENT"],
    ["a rate that is no number", { trace_rate: ["often"] }, "INVALID_ARGUMENT"],
    ["a count below -1", { trace_count: ["-2"] }, "INVALID_ARGUMENT"],
    ["two values for one number", { log_frequency: ["1", "2"] }, "INVALID_ARGUMENT"],
    ["an unknown setting", { color: ["red"] }, "INVALID_ARGUMENT"],
  ];
  for (const [what, change, code] of refused) {
    it(`refuse ${what} and change nothing`, () => {
      const traces = new TraceSettings(DEFAULTS);

      assert.equal(codeOf(() => traces.update("", { trace_rate: ["7"], ...change })), code);

      assert.deepEqual(traces.get("")["trace_rate"], ["1"]);
    });
  }
});

describe("log settings", () => {
  it("change what is named and keep the rest", () => {
    assert.deepEqual(changeLogSettings(LOG, { log_info: false, log_verbose_level: 1, log_format: "ISO8601" }), { ...LOG, log_info: false, log_verbose_level: 1, log_format: "ISO8601" });
  });

  const refused: [string, Record<string, unknown>, string][] = [
    ["another file", { log_file: "x.log" }, "UNIMPLEMENTED"],
    ["a flag that is a text", { log_info: "yes" }, "INVALID_ARGUMENT"],
    ["a negative level", { log_verbose_level: -1 }, "INVALID_ARGUMENT"],
    ["an unknown format", { log_format: "xml" }, "INVALID_ARGUMENT"],
    ["an unknown setting", { log_color: true }, "INVALID_ARGUMENT"],
  ];
  for (const [what, change, code] of refused) {
    it(`refuse ${what}`, () => assert.equal(codeOf(() => changeLogSettings(LOG, change)), code));
  }
});
