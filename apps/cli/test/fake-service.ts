// A service as the supervisor sees one: says "ready", writes what it is told to, drains on SIGTERM. Its behaviour comes by
// environment, as a real one's does.
import { appendFileSync } from "node:fs";

const { FAKE_NAME = "fake", FAKE_JOURNAL = "", FAKE_EXIT = "", FAKE_SAYS = "" } = process.env;
const note = (what: string): void => appendFileSync(FAKE_JOURNAL, `${FAKE_NAME} ${what}\n`);

if (FAKE_EXIT !== "") {
  process.stderr.write(`${FAKE_SAYS}\n`);
  process.exitCode = Number(FAKE_EXIT);
  process.disconnect?.();
} else {
  note("started");
  const alive = setInterval(() => {}, 1_000);
  const stop = (): void => {
    note("stopped");
    clearInterval(alive);
    if (process.connected) process.disconnect?.();
  };
  process.once("SIGTERM", stop);
  process.once("disconnect", () => process.exit());
  process.stderr.write(`{"level":"info","event":"ready"}\n`);
  process.send?.({ type: "ready", address: FAKE_NAME });
}
