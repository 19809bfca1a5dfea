import { ELEMENT_TYPES, cast, concat, cos, div, equal, mod, mul, sin, sub, where, type Graph, type Value } from "@servable/onnx";
import type { DatetimeData } from "./column-data.ts";
import type { FittedFeature } from "./feature.ts";

const DAY_MS = 86_400_000;
/** What stands for a missing moment in the model's input. */
export const MISSING_MOMENT = -(2n ** 63n);

/** Cycles of the calendar, in milliseconds; a week begins on Monday 1970-01-05. */
const CYCLES = [
  { name: "time of day", lengthMs: DAY_MS, originMs: 0 },
  { name: "day of week", lengthMs: 7 * DAY_MS, originMs: 4 * DAY_MS },
  { name: "time of year", lengthMs: 31_556_952_000, originMs: 0 },
] as const;

/**
 * Learns a column of moments: how long ago (standardised), and sine and cosine of the place in day, week and year, so that
 * midnight is near to one minute before it. The day is left out where all training rows stand at midnight. A missing moment
 * is the mean one, in the middle of every cycle.
 *
 * The model's input: INT64 [batch, 1], milliseconds since 1970 UTC, {@link MISSING_MOMENT} = missing.
 */
export function datetimeFeature(data: DatetimeData, rows: Uint32Array): FittedFeature {
  let [count, sum, min, max, atMidnight] = [0, 0, Infinity, -Infinity, true];
  for (const row of rows) {
    const moment = data.values[row] as number;
    if (Number.isNaN(moment)) continue;
    count++;
    sum += moment;
    min = Math.min(min, moment);
    max = Math.max(max, moment);
    atMidnight &&= moment % DAY_MS === 0;
  }
  if (count === 0) return { dropped: "has no value in the training rows" };
  if (min === max) return { dropped: `is ${new Date(min).toISOString()} in all training rows` };
  const mean = Math.round(sum / count);
  let squares = 0;
  for (const row of rows) {
    const moment = data.values[row] as number;
    if (!Number.isNaN(moment)) squares += (moment - mean) ** 2;
  }
  const deviation = Math.max(1, Math.round(Math.sqrt(squares / count)));
  const cycles = CYCLES.filter(({ lengthMs }) => !(atMidnight && lengthMs === DAY_MS));
  return {
    feature: {
      column: data.name,
      names: [data.name, ...cycles.flatMap(({ name }) => [`${data.name} ${name} (sine)`, `${data.name} ${name} (cosine)`])],
      encoder(column) {
        const { values } = column as DatetimeData;
        return (row, target, offset) => {
          const moment = values[row] as number;
          if (Number.isNaN(moment)) {
            target.fill(0, offset, offset + 1 + 2 * cycles.length);
            return;
          }
          target[offset] = (moment - mean) / deviation;
          cycles.forEach(({ lengthMs, originMs }, index) => {
            const place = (((moment - originMs) % lengthMs) + lengthMs) % lengthMs;
            const angle = Math.fround(Math.fround(place / lengthMs) * TURN);
            target[offset + 1 + 2 * index] = Math.sin(angle);
            target[offset + 2 + 2 * index] = Math.cos(angle);
          });
        };
      },
      input: (graph) => graph.input(data.name, "INT64", ["batch", 1]),
      nodes(graph, input) {
        const whole = (value: number | bigint): Value => graph.constant("INT64", [1, 1], [BigInt(value)]);
        const missing = equal(graph, input, whole(MISSING_MOMENT));
        const moment = where(graph, missing, whole(mean), input);
        const zero = graph.constant("FP32", [1, 1], [0]);
        const share = (value: Value, by: number): Value => f32(graph, div(graph, cast(graph, value, "FP64", ELEMENT_TYPES.FP64), graph.constant("FP64", [1, 1], [by])));
        const parts = [share(sub(graph, moment, whole(mean)), deviation)];
        for (const { lengthMs, originMs } of cycles) {
          const angle = mul(graph, share(mod(graph, sub(graph, moment, whole(originMs)), whole(lengthMs)), lengthMs), graph.constant("FP32", [1, 1], [TURN]));
          parts.push(sin(graph, angle), cos(graph, angle));
        }
        return where(graph, missing, zero, concat(graph, parts, 1));
      },
    },
  };
}

const TURN = Math.fround(2 * Math.PI);

function f32(graph: Graph, value: Value): Value {
  return cast(graph, value, "FP32", ELEMENT_TYPES.FP32);
}
