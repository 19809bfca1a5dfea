import { join } from "node:path";
import { openServiceLog } from "./service-log.ts";
import { SupervisedService, type ReadyMessage, type ServiceEvent, type ServiceSpec } from "./supervised-service.ts";

const STOP_MS = 25_000;

/** What a supervisor runs and tells. */
export interface SupervisorOptions {
  /** Groups in the order of dependence: a group is stopped only after those behind it are down. */
  readonly groups: readonly (readonly ServiceSpec[])[];
  /** Each service's output goes to `<logDir>/<name>.log`. */
  readonly logDir: string;
  readonly onEvent?: ((event: ServiceEvent) => void) | undefined;
  /** Lines that people should see. */
  readonly onLine?: ((service: string, line: string) => void) | undefined;
  /** Shows all lines. @default false */
  readonly verbose?: boolean | undefined;
}

/** Running services; disposing stops them in order. */
export interface Supervisor extends AsyncDisposable {
  /** What each service said at its first "ready". */
  readonly ready: ReadonlyMap<string, ReadyMessage>;
  /** Process ids by service, for those that run now. */
  pids(): Record<string, number>;
}

/**
 * Starts services and keeps them running; resolves when all are ready.
 *
 * All are spawned at once, first things first: each service waits for the others by itself, as it must after any crash,
 * and starting one behind the other would only add up the times. The stop is in order, so that calls in flight still find
 * what they need.
 *
 * @throws StatusError of the first service that cannot start; the others are stopped again
 */
export async function startSupervisor(options: SupervisorOptions): Promise<Supervisor> {
  const { groups, logDir, onEvent = () => {}, onLine = () => {}, verbose = false } = options;
  const running = groups.map((group) =>
    group.map((spec) => new SupervisedService(spec, openServiceLog(join(logDir, `${spec.name}.log`), (line) => onLine(spec.name, line), verbose), onEvent)),
  );
  const services = running.flat();
  const stop = async (): Promise<void> => {
    for (const group of running.toReversed()) await Promise.all(group.map((service) => service.stop(STOP_MS)));
  };
  try {
    const messages = await Promise.all(services.map(async (service) => [service.name, await service.start()] as const));
    return {
      ready: new Map(messages),
      pids: () => Object.fromEntries(services.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid]]))),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
