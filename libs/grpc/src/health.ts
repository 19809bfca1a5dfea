import { Health, HealthCheckResponse_ServingStatus as Status } from "@servable/contracts/grpc/health/v1/health";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "./service.ts";

/** What probes see; "" is the whole server. */
export interface HealthState {
  /** Marks a service as serving or not, and tells its watchers. */
  set(service: string, serving: boolean): void;
}

/** The grpc.health.v1 service and the switch behind it. */
export function createHealth(services: readonly string[]): { registration: ServiceRegistration; state: HealthState } {
  const statuses = new Map<string, Status>(["", ...services].map((service) => [service, Status.SERVING]));
  const watchers = new Set<() => void>();
  const registration = implement(Health, {
    check({ service }) {
      const status = statuses.get(service);
      if (status === undefined) throw new StatusError("METHOD_UNKNOWN", `there is no service "${service}" here`, { code: "NOT_FOUND" });
      return { status };
    },
    list: () => ({ statuses: Object.fromEntries([...statuses].map(([service, status]) => [service, { status }])) }),
    async *watch({ service }, { signal }) {
      let last: Status | undefined;
      while (!signal.aborted) {
        const status = statuses.get(service) ?? Status.SERVICE_UNKNOWN;
        if (status !== last) yield { status };
        last = status;
        if ((statuses.get(service) ?? Status.SERVICE_UNKNOWN) !== last) continue;
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            watchers.delete(wake);
            signal.removeEventListener("abort", wake);
            resolve();
          };
          watchers.add(wake);
          signal.addEventListener("abort", wake, { once: true });
        });
      }
    },
  });
  return {
    registration,
    state: {
      set(service, serving) {
        statuses.set(service, serving ? Status.SERVING : Status.NOT_SERVING);
        for (const wake of [...watchers]) wake();
      },
    },
  };
}
