import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { currentLogLevels, setLogLevels } from "./log-levels.ts";
import { createLogger } from "./logger.ts";

describe("log levels", () => {
  const before = currentLogLevels();
  after(() => setLogLevels(before));

  it("switch what is written while the process runs, each on its own", () => {
    const lines: string[] = [];
    const logger = createLogger("test", undefined, { write: (line) => void lines.push((JSON.parse(line) as { event: string }).event) });
    const writeAll = (): string[] => {
      lines.length = 0;
      for (const level of ["trace", "debug", "info", "warn", "error", "fatal"] as const) logger[level]({ event: level });
      return [...lines];
    };

    setLogLevels({ info: true, warning: false, error: true, verboseLevel: 0 });
    assert.deepEqual(writeAll(), ["info", "error", "fatal"]);
    setLogLevels({ info: false, warning: false, error: false, verboseLevel: 0 });
    assert.deepEqual(writeAll(), ["fatal"]);
    setLogLevels({ info: true, warning: true, error: true, verboseLevel: 1 });
    assert.deepEqual(writeAll(), ["debug", "info", "warn", "error", "fatal"]);
  });

  it("leave a logger alone that has a level of its own", () => {
    const lines: string[] = [];
    const logger = createLogger("test", "silent", { write: (line) => void lines.push(line) });

    setLogLevels({ info: true, warning: true, error: true, verboseLevel: 2 });
    logger.error({ event: "x" });

    assert.deepEqual(lines, []);
  });
});
