import { titleOf, workloadsOf, type Container, type Manifest, type Workload } from "./document.ts";

/** Time that SIGTERM leaves after the drain for engines, databases and traces. */
const SHUTDOWN_RESERVE_SECONDS = 10;
/** The drain of a service that is not told another, see libs/grpc. */
const DRAIN_SECONDS_DEFAULT = 5;

/** What pods must be: restricted, probed by gRPC, bounded, given time to drain. */
export function podFindings(manifests: readonly Manifest[], knownVariables: ReadonlySet<string>): string[] {
  return workloadsOf(manifests).flatMap((workload) =>
    [
      ...securityFindings(workload),
      ...(workload.serves
        ? [...probeFindings(workload), ...drainFindings(workload), ...accountFindings(workload, manifests)]
        : []),
      ...workload.spec.containers.flatMap((container) => [
        ...containerFindings(container),
        ...variableFindings(container, knownVariables),
      ]),
    ].map((finding) => `${titleOf(workload.owner)}: ${finding}`),
  );
}

/** Pod Security Standards, "restricted", and then some. */
function* securityFindings({ spec }: Workload): Iterable<string> {
  if (spec.automountServiceAccountToken !== false) yield "mounts the service account's token, which no service uses";
  if (spec.hostNetwork === true || spec.hostPID === true) yield "shares a namespace of the node";
  if (spec.securityContext?.runAsNonRoot !== true || (spec.securityContext.runAsUser ?? 0) === 0)
    yield "may run as root: set runAsNonRoot and a runAsUser above 0";
  if (spec.securityContext?.seccompProfile?.type !== "RuntimeDefault") yield "has no seccomp profile RuntimeDefault";
  if (spec.volumes?.some((volume) => "hostPath" in volume) === true) yield "mounts a path of the node";
  for (const { name, securityContext } of spec.containers) {
    if (securityContext?.privileged === true || securityContext?.allowPrivilegeEscalation !== false)
      yield `container ${name} may gain privileges`;
    if (securityContext?.readOnlyRootFilesystem !== true) yield `container ${name} may write into its image`;
    if (securityContext?.capabilities?.drop?.includes("ALL") !== true || securityContext.capabilities.add !== undefined)
      yield `container ${name} does not drop ALL capabilities`;
  }
}

function* probeFindings({ spec }: Workload): Iterable<string> {
  for (const container of spec.containers) {
    const { name, ports = [] } = container;
    const grpcPort = ports.find((port) => port.name === "grpc")?.containerPort;
    for (const kind of ["startupProbe", "readinessProbe", "livenessProbe"] as const) {
      const port = container[kind]?.grpc?.port;
      if (port === undefined) yield `container ${name} has no ${kind} by gRPC`;
      else if (port !== grpcPort)
        yield `container ${name} is probed on port ${port}, its port "grpc" is ${grpcPort ?? "missing"}`;
    }
    const listen = container.env?.find((variable) => variable.name === "SERVABLE_LISTEN")?.value;
    if (listen !== undefined && !listen.endsWith(`:${grpcPort ?? ""}`))
      yield `container ${name} listens on ${listen}, its port "grpc" is ${grpcPort ?? "missing"}`;
  }
}

function* drainFindings({ spec }: Workload): Iterable<string> {
  for (const { name, lifecycle, env = [] } of spec.containers) {
    const sleepSeconds = lifecycle?.preStop?.sleep?.seconds;
    if (sleepSeconds === undefined) {
      yield `container ${name} has no preStop sleep: endpoints would still send calls to a server that is closing`;
      continue;
    }
    const drainSeconds = Number(
      /^(\d+)s$/.exec(env.find((variable) => variable.name === "SERVABLE_DRAIN")?.value ?? "")?.[1] ??
        DRAIN_SECONDS_DEFAULT,
    );
    const needSeconds = sleepSeconds + drainSeconds + SHUTDOWN_RESERVE_SECONDS;
    if ((spec.terminationGracePeriodSeconds ?? 30) < needSeconds)
      yield `would be killed while it drains: terminationGracePeriodSeconds must be at least ${needSeconds}`;
  }
}

function* accountFindings({ spec }: Workload, manifests: readonly Manifest[]): Iterable<string> {
  const { serviceAccountName = "default" } = spec;
  if (!manifests.some(({ kind, metadata }) => kind === "ServiceAccount" && metadata.name === serviceAccountName))
    yield `runs as service account "${serviceAccountName}", which nobody creates`;
}

function* containerFindings({ name, image = "", resources }: Container): Iterable<string> {
  const tag = /:([^/]+)$/.exec(image)?.[1];
  if (tag === undefined || tag === "latest") yield `container ${name} runs "${image}": name a version`;
  if (resources?.requests?.["cpu"] === undefined || resources.requests["memory"] === undefined)
    yield `container ${name} requests no cpu or no memory`;
  if (resources?.limits?.["memory"] === undefined) yield `container ${name} has no limit of memory`;
}

/** A misspelt variable is silently ignored by the service; so no manifest may set one that no source reads. */
function* variableFindings({ name, env = [] }: Container, known: ReadonlySet<string>): Iterable<string> {
  for (const variable of env) {
    if (/^(SERVABLE|OTEL)_/.test(variable.name) && !known.has(variable.name))
      yield `container ${name} sets ${variable.name}, which no service reads`;
  }
}
