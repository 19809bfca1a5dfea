import { Presets, SingleBar } from "cli-progress";
import type { UploadView } from "../import/import-repository.ts";
import type { Output } from "../terminal.ts";
import { formatBytes } from "./table.ts";

/** Shows how uploads go on: a moving bar on a terminal, one line for each elsewhere. */
export function createUploadProgress(output: Output): UploadView {
  if (output.isTTY !== true) {
    return { start: (label, totalBytes) => void output.write(`  ${label}: ${formatBytes(totalBytes)}\n`), update: () => {}, stop: () => {} };
  }
  let bar: SingleBar | undefined;
  return {
    start: (label, totalBytes) => {
      bar = new SingleBar({ format: "  {bar} {percentage} % · {label} · {sent} of {total_}", hideCursor: true, barsize: 24, clearOnComplete: false }, Presets.shades_classic);
      bar.start(Math.max(1, totalBytes), 0, { label, sent: formatBytes(0), total_: formatBytes(totalBytes) });
    },
    update: (sentBytes) => bar?.update(sentBytes, { sent: formatBytes(sentBytes) }),
    stop: () => {
      bar?.stop();
      bar = undefined;
    },
  };
}
