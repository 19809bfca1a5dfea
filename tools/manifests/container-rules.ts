import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "../workspace.ts";

const DOCKERFILE = "deploy/docker/Dockerfile";
const COMPOSE = "deploy/compose.yaml";

interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly dockerfile: string; readonly args: { readonly SERVICE: string } };
  readonly environment?: Readonly<Record<string, string>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly depends_on?: readonly string[];
  readonly volumes?: readonly string[];
}

/** What is wrong with the Dockerfile: floating or unknown bases, a user that may be root. */
export function dockerfileFindings(text: string = readFileSync(join(ROOT, DOCKERFILE), "utf8")): string[] {
  const findings: string[] = [];
  const stages = [...text.matchAll(/^FROM\s+(\S+)(?:\s+AS\s+(\S+))?/gim)];
  for (const [, image = ""] of stages) {
    if (!/:[^/]+$/.test(image) || image.endsWith(":latest")) findings.push(`builds on ${image}: name a version`);
  }
  const last = text.slice(stages.at(-1)?.index ?? 0);
  if (!/^USER\s+[1-9]\d*/m.test(last)) findings.push("the last stage sets no numeric USER above 0");
  if (!/^ENTRYPOINT\s+\[/m.test(last)) findings.push("the entry point is no list: a shell would swallow SIGTERM");
  if (!/\bORT_DISABLE_TELEMETRY=1\b/.test(last))
    findings.push("lets ONNX Runtime report its use: set ORT_DISABLE_TELEMETRY=1");
  for (const [, from = ""] of last.matchAll(/--from=(\S+)/g)) {
    if (!stages.some(([, , stage]) => stage === from))
      findings.push(`copies from the stage ${from}, which does not exist`);
  }
  return findings.map((finding) => `${DOCKERFILE}: ${finding}`);
}

/** What is wrong with the compose file: services that do not exist, variables that nobody reads, writable containers. */
export function composeFindings(
  knownVariables: ReadonlySet<string>,
  text: string = readFileSync(join(ROOT, COMPOSE), "utf8"),
): string[] {
  const { services, volumes = {} } = parse(text, { merge: true }) as {
    services: Record<string, ComposeService>;
    volumes?: Record<string, unknown>;
  };
  const findings: string[] = [];
  for (const [name, service] of Object.entries(services)) {
    if (!/:\d/.test(service.image ?? "")) findings.push(`${name}: its image "${service.image ?? ""}" names no version`);
    for (const other of service.depends_on ?? [])
      if (services[other] === undefined) findings.push(`${name}: depends on ${other}, which does not exist`);
    for (const volume of service.volumes ?? [])
      if (!((volume.split(":")[0] ?? "") in volumes)) findings.push(`${name}: mounts ${volume}, which is not declared`);
    if (service.build === undefined) continue;
    if (
      service.build.dockerfile !== DOCKERFILE ||
      !existsSync(join(ROOT, "apps", service.build.args.SERVICE, "src/main.ts"))
    )
      findings.push(
        `${name}: builds ${service.build.args.SERVICE} from ${service.build.dockerfile}, which does not exist`,
      );
    if (service.read_only !== true || service.cap_drop?.includes("ALL") !== true)
      findings.push(`${name}: may write into its image or keeps capabilities`);
    for (const variable of Object.keys(service.environment ?? {}))
      if (!knownVariables.has(variable)) findings.push(`${name}: sets ${variable}, which no service reads`);
  }
  return findings.map((finding) => `${COMPOSE}: ${finding}`);
}
