// A Triton model repository is a folder of models; a model is a folder of numbered versions with a config.pbtxt beside them:
//
//   resnet/config.pbtxt   resnet/labels.txt   resnet/1/model.onnx   resnet/3/model.onnx   resnet/warmup/image
//
// We read it without a server: which versions there are, which files go with each, and what becomes of every setting.
// Source: docs/user_guide/model_repository.md of triton-inference-server/server.

import { readFile, readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { ModelConfigSchema, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { findingsOf, type Finding } from "./findings.ts";
import { filesBelow, isArtifactPath, isVersionFolder } from "./model-files.ts";
import { parseTextProto } from "./text-proto/parse-text-proto.ts";
import type { ModelKind, TritonModel, TritonRepository, TritonVersion, VersionFile } from "./triton-model.ts";

/** The model's configuration, beside its versions. */
const CONFIG_FILE = "config.pbtxt";
const CONFIG_BYTES_MAX = 4 * 1024 ** 2;
const MODEL_FILE = "model.onnx";
/** Names of onnxruntime in `platform` and `backend`. */
const ONNX_PLATFORM = "onnxruntime_onnx";
const ONNX_BACKEND = "onnxruntime";
const ENSEMBLE_PLATFORM = "ensemble";
/** A typed graph, which needs no file either. */
const GRAPH_PARAMETER = "servable.graph";

/**
 * Whether a folder is a Triton repository, or one model of it. A folder counts as a model when it has numbered folders, or a
 * config.pbtxt.
 */
export async function isTritonRepository(folder: string): Promise<boolean> {
  if (!(await isFolder(folder))) return false;
  return (await isModelFolder(folder)) || (await modelFolders(folder)).length > 0;
}

/**
 * Reads a repository, or a single model's folder. A model that cannot be served is in the answer with its reason, so that one
 * of them does not keep the others out.
 *
 * @throws StatusError `FIELD_INVALID` when the folder is none
 */
export async function readTritonRepository(folder: string): Promise<TritonRepository> {
  if (!(await isFolder(folder))) throw new StatusError("FIELD_INVALID", `there is no folder ${folder}`, { metadata: { field: "folder" } });
  const folders = (await isModelFolder(folder)) ? [folder] : await modelFolders(folder);
  if (folders.length === 0) throw new StatusError("FIELD_INVALID", `${folder} is no Triton model repository: it has no folder with a ${CONFIG_FILE} or with numbered versions`, { metadata: { field: "folder" } });
  return { folder, models: await Promise.all(folders.map(readModel)) };
}

async function readModel(folder: string): Promise<TritonModel> {
  const name = basename(resolve(folder));
  const model = { name, folder, kind: "unsupported" as ModelKind, config: undefined, versions: [], findings: [] };
  try {
    const config = await readConfig(folder, name);
    const numbers = (await readdir(folder)).filter(isVersionFolder).map(Number).sort((a, b) => a - b);
    const { kind, refusal } = await kindOf(config, folder, numbers);
    if (refusal !== "") return { ...model, kind, refusal, config, findings: config === undefined ? [] : findingsOf(config) };
    const findings: Finding[] = config === undefined ? [{ setting: CONFIG_FILE, verdict: "adapted", reason: "there is none: the configuration follows from the graph" }] : findingsOf(config);
    const shared = await sharedFiles(folder, findings);
    const versions: TritonVersion[] = [];
    for (const number of numbers) {
      const files = await filesOf(folder, number, config, shared, findings);
      if (kind === "ensemble" || files.some(({ path }) => path === MODEL_FILE)) versions.push({ number, files });
      else findings.push({ setting: `${number}/`, verdict: "not honoured", reason: `the version is left out: it has no ${config?.defaultModelFilename || MODEL_FILE}` });
    }
    return { ...model, kind, refusal: versions.length === 0 ? (numbers.length === 0 ? "it has no numbered version" : "no version has a model file") : "", config, versions, findings };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { ...model, refusal: error.message };
  }
}

async function readConfig(folder: string, name: string): Promise<ModelConfig | undefined> {
  const path = join(folder, CONFIG_FILE);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) return undefined;
  if (info.size > CONFIG_BYTES_MAX) throw new StatusError("FIELD_INVALID", `${name}/${CONFIG_FILE} has ${info.size} bytes, at most ${CONFIG_BYTES_MAX} are read`);
  const config = parseTextProto(ModelConfigSchema, await readFile(path, "utf8"), { source: `${name}/${CONFIG_FILE}` });
  if (config.name !== "" && config.name !== name) throw new StatusError("FIELD_INVALID", `${name}/${CONFIG_FILE}: name: "${config.name}" must be the folder's name, "${name}"`, { metadata: { field: "name" } });
  return config;
}

/** What runs the model, or why nothing here does. */
async function kindOf(config: ModelConfig | undefined, folder: string, numbers: readonly number[]): Promise<{ kind: ModelKind; refusal: string }> {
  if (config?.platform === ENSEMBLE_PLATFORM || config?.schedulingChoice.case === "ensembleScheduling" || config?.parameters[GRAPH_PARAMETER] !== undefined) return { kind: "ensemble", refusal: "" };
  const backend = config?.backend || (config?.platform === ONNX_PLATFORM ? ONNX_BACKEND : (config?.platform ?? ""));
  if (backend === ONNX_BACKEND) return { kind: "onnx", refusal: "" };
  if (backend !== "") return { kind: "unsupported", refusal: refusalOf(backend) };
  const file = config?.defaultModelFilename || MODEL_FILE;
  for (const number of numbers) {
    const names = await readdir(join(folder, String(number)));
    if (names.includes(file)) return { kind: "onnx", refusal: "" };
    if (names.includes("model.py")) return { kind: "unsupported", refusal: refusalOf("python") };
    if (names.includes("model.plan")) return { kind: "unsupported", refusal: refusalOf("tensorrt_plan") };
  }
  return { kind: "unsupported", refusal: numbers.length === 0 ? "it has no numbered version" : `no version has a ${file}, and the configuration names no backend` };
}

function refusalOf(backend: string): string {
  switch (backend) {
    case "python":
      return "its backend is python: it is a program, and Servable serves models; export the model to ONNX, and make pre- and post-processing steps of a graph";
    case "tensorrt":
    case "tensorrt_plan":
      return "it is a TensorRT plan, compiled for one kind of GPU: import the ONNX file that the plan was made of";
    case "vllm":
    case "tensorrtllm":
      return `its backend is ${backend}: text generation is served from ONNX files`;
    default:
      return `its backend is ${backend}: Servable runs ONNX files; export the model to ONNX`;
  }
}

/** Files of the model that all versions share: labels, warm-up data, initial states, and whatever else stands there. */
async function sharedFiles(folder: string, findings: Finding[]): Promise<VersionFile[]> {
  const files = await filesBelow(folder, (name) => /^\d+$/.test(name)); // also "0" and "03", which are no versions
  for (const { path } of files.filter((file) => file.path.startsWith("configs/"))) findings.push({ setting: path, verdict: "not honoured", reason: `one configuration counts, ${CONFIG_FILE}; choose another by copying it there` });
  return usable(files.filter(({ path }) => !path.startsWith("configs/")), findings);
}

async function filesOf(folder: string, number: number, config: ModelConfig | undefined, shared: readonly VersionFile[], findings: Finding[]): Promise<VersionFile[]> {
  const modelFile = config?.defaultModelFilename || MODEL_FILE;
  const own = usable(await filesBelow(join(folder, String(number))), findings, `${number}/`).map((file) => ({ ...file, path: artifactPath(file.path, modelFile) }));
  const files = new Map(shared.map((file) => [file.path, file]));
  for (const file of own) files.set(file.path, file);
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The model becomes model.onnx; one that is a folder of files is laid out flat, for its weights stand beside it. */
function artifactPath(path: string, modelFile: string): string {
  if (path === modelFile || path === `${modelFile}/${modelFile}` || path === `${modelFile}/${MODEL_FILE}`) return MODEL_FILE;
  return path.startsWith(`${modelFile}/`) ? path.slice(modelFile.length + 1) : path;
}

function usable(files: readonly VersionFile[], findings: Finding[], prefix = ""): VersionFile[] {
  const good: VersionFile[] = [];
  for (const file of files) {
    if (isArtifactPath(file.path)) good.push(file);
    else findings.push({ setting: `${prefix}${file.path}`, verdict: "not honoured", reason: 'the file is left out: names are made of letters, digits, ".", "_" and "-"' });
  }
  return good;
}

async function isModelFolder(folder: string): Promise<boolean> {
  const names = await readdir(folder);
  if (names.includes(CONFIG_FILE)) return true;
  for (const name of names) if (isVersionFolder(name) && (await isFolder(join(folder, name)))) return true;
  return false;
}

async function modelFolders(folder: string): Promise<string[]> {
  const folders: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name);
    if (!name.startsWith(".") && (await isFolder(path)) && (await isModelFolder(path))) folders.push(path);
  }
  return folders;
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
