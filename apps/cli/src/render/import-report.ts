import type { Finding, Verdict } from "@servable/triton-repository";
import type { ImportedModel } from "../import/import-repository.ts";
import { formatBytes, renderTable } from "./table.ts";

/** From what matters most. */
const ORDER: readonly Verdict[] = ["not honoured", "adapted", "ignored"];

/** Which folder became which version. */
export function renderImported(models: readonly ImportedModel[]): string {
  const rows = models.flatMap(({ model, name, versions }) =>
    model.refusal === "" ? versions.map(({ number, version, outcome, bytes }) => [name, number, version === 0 ? "" : version, outcome, formatBytes(bytes)]) : [[name, "", "", "cannot be served", ""]],
  );
  return renderTable(["model", "folder", "version", "outcome", "size"], rows);
}

/** What becomes of the settings, model by model: how many are honoured, and each of the others with its reason. */
export function renderFindings(models: readonly ImportedModel[]): string {
  return models.map(({ model, name, versions }) => [titleOf(name, model.findings, model.refusal), ...versions.filter(({ reason }) => reason !== "").map(({ number, reason }) => `  version ${number} failed: ${reason}`), ...linesOf(model.findings)].join("\n")).join("\n");
}

function titleOf(name: string, findings: readonly Finding[], refusal: string): string {
  if (refusal !== "") return `${name}: cannot be served: ${refusal}`;
  const honoured = findings.filter(({ verdict }) => verdict === "honoured").length;
  if (honoured === 0) return `${name}:`;
  return `${name}: ${honoured} setting${honoured === 1 ? "" : "s"} honoured${findings.length > honoured ? "" : ", nothing to note"}`;
}

function linesOf(findings: readonly Finding[]): string[] {
  return ORDER.flatMap((verdict) => findings.filter((each) => each.verdict === verdict).map(({ setting, reason }) => `  ${verdict.padEnd(12)}  ${setting}: ${reason}`));
}
