import { titleOf, workloadsOf, type Manifest } from "./document.ts";

type Labels = Readonly<Record<string, string>>;

/** Objects that point at other objects point at ones that exist: Services, autoscalers and budgets, addresses, claims. */
export function referenceFindings(manifests: readonly Manifest[]): string[] {
  return [
    ...selectorFindings(manifests),
    ...scalingFindings(manifests),
    ...addressFindings(manifests),
    ...claimFindings(manifests),
    ...storageFindings(manifests),
  ];
}

function* selectorFindings(manifests: readonly Manifest[]): Iterable<string> {
  const workloads = workloadsOf(manifests).filter(({ serves }) => serves);
  for (const manifest of manifests) {
    const spec = manifest["spec"] as
      { selector?: Labels & { matchLabels?: Labels }; ports?: { targetPort?: string | number }[] } | undefined;
    const selector =
      manifest.kind === "Service"
        ? spec?.selector
        : ["PodDisruptionBudget", "Deployment", "StatefulSet"].includes(manifest.kind)
          ? spec?.selector?.matchLabels
          : undefined;
    if (selector === undefined) continue;
    const selected = workloads.filter(({ labels }) =>
      Object.entries(selector).every(([key, value]) => labels[key] === value),
    );
    if (selected.length !== 1)
      yield `${titleOf(manifest)}: selects ${selected.length === 0 ? "no pods" : selected.map(({ owner }) => titleOf(owner)).join(" and ")}`;
    for (const { targetPort } of (manifest.kind === "Service" ? spec?.ports : undefined) ?? []) {
      if (
        !selected.every(({ spec: { containers } }) =>
          containers.some(({ ports = [] }) =>
            ports.some(({ name, containerPort }) => targetPort === name || targetPort === containerPort),
          ),
        )
      )
        yield `${titleOf(manifest)}: no container has the port ${targetPort ?? ""}`;
    }
  }
}

function* scalingFindings(manifests: readonly Manifest[]): Iterable<string> {
  for (const manifest of manifests.filter(({ kind }) => kind === "HorizontalPodAutoscaler")) {
    const { scaleTargetRef: target } = manifest["spec"] as { scaleTargetRef: { kind: string; name: string } };
    const scaled = manifests.find(({ kind, metadata }) => kind === target.kind && metadata.name === target.name);
    if (scaled === undefined) yield `${titleOf(manifest)}: scales ${target.kind}/${target.name}, which does not exist`;
    else if ((scaled["spec"] as { replicas?: number }).replicas !== undefined)
      yield `${titleOf(scaled)}: has a fixed count, which each deployment would set again against ${titleOf(manifest)}`;
  }
}

function* addressFindings(manifests: readonly Manifest[]): Iterable<string> {
  const services = new Map(
    manifests
      .filter(({ kind }) => kind === "Service")
      .map((manifest) => [manifest.metadata.name, (manifest["spec"] as { ports: { port: number }[] }).ports]),
  );
  for (const { owner, spec } of workloadsOf(manifests)) {
    for (const { name, value = "" } of spec.containers.flatMap(({ env = [] }) => env)) {
      if (!/^SERVABLE_(REGISTRY|TRAINING)_ADDRESS$/.test(name)) continue;
      const [host = "", port = ""] = value.split(":");
      if (services.get(host)?.some((entry) => entry.port === Number(port)) !== true)
        yield `${titleOf(owner)}: ${name} is ${value}, and no Service listens there`;
    }
  }
}

function* claimFindings(manifests: readonly Manifest[]): Iterable<string> {
  for (const { owner, spec } of workloadsOf(manifests)) {
    for (const { persistentVolumeClaim: claim } of (spec.volumes ?? []) as {
      persistentVolumeClaim?: { claimName: string };
    }[]) {
      if (
        claim !== undefined &&
        !manifests.some(({ kind, metadata }) => kind === "PersistentVolumeClaim" && metadata.name === claim.claimName)
      )
        yield `${titleOf(owner)}: mounts the claim ${claim.claimName}, which nobody makes`;
    }
  }
}

/** On SQLite a second writer, even for the moment of a rolling update, would corrupt or at least refuse. */
function* storageFindings(manifests: readonly Manifest[]): Iterable<string> {
  for (const { owner, spec } of workloadsOf(manifests).filter(({ owner }) => owner.kind === "Deployment")) {
    const onVolume = ((spec.volumes ?? []) as { persistentVolumeClaim?: unknown }[]).some(
      ({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined,
    );
    const { replicas = 1, strategy } = owner["spec"] as { replicas?: number; strategy?: { type?: string } };
    if (onVolume && (replicas > 1 || strategy?.type !== "Recreate"))
      yield `${titleOf(owner)}: keeps SQLite on a volume, so it must be one replica with the strategy Recreate`;
  }
}
