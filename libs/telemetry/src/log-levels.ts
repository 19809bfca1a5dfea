// What a process writes to its log can be changed while it runs. Levels are separate switches, as the Open Inference
// Protocol has them, so a threshold alone does not do: errors may be off while information is on.

import type { Logger } from "pino";

/** Which lines are written. Fatal ones always are. */
export interface LogLevels {
  readonly info: boolean;
  readonly warning: boolean;
  readonly error: boolean;
  /** 0 = no details, 1 = debug lines, 2 and above = trace lines too. */
  readonly verboseLevel: number;
}

/** pino's numbers. */
const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
type Label = keyof typeof LEVELS;

const loggers: Logger[] = [];
let levels: LogLevels | undefined;

/** Levels out of one word, "info" for example: it and all above. */
export function logLevelsOf(word: string): LogLevels {
  const least = LEVELS[word as Label] ?? Infinity;
  return { info: least <= LEVELS.info, warning: least <= LEVELS.warn, error: least <= LEVELS.error, verboseLevel: least <= LEVELS.trace ? 2 : least <= LEVELS.debug ? 1 : 0 };
}

/** The levels in force. */
export function currentLogLevels(): LogLevels {
  return levels ?? logLevelsOf(process.env["SERVABLE_LOG_LEVEL"] ?? "info");
}

/** Changes what the loggers of this process write, from now on. */
export function setLogLevels(wanted: LogLevels): void {
  levels = wanted;
  const least = (Object.keys(LEVELS) as Label[]).find((label) => isWritten(LEVELS[label], wanted)) ?? "fatal";
  for (const logger of loggers) logger.level = least;
}

/** Puts a logger under the levels of its process. */
export function followLogLevels(logger: Logger): void {
  loggers.push(logger);
  if (levels !== undefined) setLogLevels(levels);
}

/** Whether a line of pino's level is written. */
export function isWritten(level: number, { info, warning, error, verboseLevel } = levels ?? ALL): boolean {
  if (level >= LEVELS.fatal) return true;
  if (level >= LEVELS.error) return error;
  if (level >= LEVELS.warn) return warning;
  if (level >= LEVELS.info) return info;
  return verboseLevel >= (level >= LEVELS.debug ? 1 : 2);
}

/** Until somebody says otherwise each logger's own threshold decides. */
const ALL: LogLevels = { info: true, warning: true, error: true, verboseLevel: 2 };
