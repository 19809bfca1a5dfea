import { readFile } from "node:fs/promises";
import { TrainingJobSchema, type TrainingJob } from "@servable/contracts/training/v1/training_job";
import { StatusError } from "@servable/errors";
import { isScalar, LineCounter, parseDocument, visit, type Document, type Pair } from "yaml";
import { messageFromPlain, readYaml } from "./message-file.ts";

/**
 * Reads a job as YAML or JSON: the fields of TrainingJob, e.g. `dataset`, `model`, `spec: { learning_rate: 0.01 }`.
 *
 * @throws StatusError `FIELD_INVALID` naming file, line and field
 */
export async function readJobFile(path: string): Promise<TrainingJob> {
  const plain = await readYaml(path);
  try {
    return messageFromPlain(TrainingJobSchema, plain, "job");
  } catch (error) {
    const failure = StatusError.from(error);
    const line = lineOf(await readFile(path, "utf8"), fieldOf(failure));
    throw new StatusError(failure.reason, `${path}${line === undefined ? "" : `:${line}`}: ${failure.message}`, { metadata: failure.metadata, cause: error });
  }
}

/** The last name of the field that an error is about, with its path where the error has one. */
function fieldOf(failure: StatusError): string[] {
  const path = failure.metadata["field"] ?? "";
  // Errors of protobuf-es name the field in full: "cannot decode field servable.training.v1.TrainingSpec.learning_rate from JSON".
  const named = /cannot decode field \S+\.(\w+) from JSON/.exec(failure.message)?.[1];
  return named === undefined ? path.replace(/\[\d+\]/g, "").split(".").slice(1) : [named];
}

/** The line of a field: by its path, or where its name stands first. */
function lineOf(text: string, path: readonly string[]): number | undefined {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const name = path.at(-1);
  if (name === undefined) return undefined;
  const offset = offsetOf(document, path.slice(0, -1), name) ?? offsetOf(document, [], name);
  return offset === undefined ? undefined : counter.linePos(offset).line;
}

function offsetOf(document: Document, parents: readonly string[], name: string): number | undefined {
  let found: number | undefined;
  const within = parents.length === 0 ? undefined : (document.getIn(parents, true) as { range?: [number, number, number] } | undefined)?.range;
  visit(document, {
    Pair: (_, pair: Pair) => {
      const { key } = pair;
      if (!isScalar(key) || !sameField(String(key.value), name)) return undefined;
      const at = key.range?.[0];
      if (at === undefined || (within !== undefined && (at < within[0] || at > within[2]))) return undefined;
      found = at;
      return visit.BREAK;
    },
  });
  return found;
}

/** learning_rate is learningRate. */
function sameField(a: string, b: string): boolean {
  const plain = (text: string): string => text.replaceAll("_", "").toLowerCase();
  return plain(a) === plain(b);
}
