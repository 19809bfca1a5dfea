import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../../..");
const PYTHON = join(ROOT, "examples/python");
const GO = join(ROOT, "examples/go");
/** How long packages may take to come. */
const INSTALL_MS = 240_000;

/** Why an example cannot run here, or undefined when it can. */
export type Missing = string | undefined;

/** Makes the Python example ready: its environment and its generated client, as its README says. */
export function preparePython(): Missing {
  if (!works("python3", ["-m", "venv", "--help"])) return "python3 with venv is not on this machine";
  const python = join(PYTHON, ".venv/bin/python");
  if (!existsSync(python)) run("python3", ["-m", "venv", ".venv"], PYTHON);
  if (!works(python, ["-c", "import grpc, grpc_tools"])) {
    const installed = spawnSync(python, ["-m", "pip", "install", "-q", "-r", "requirements.txt"], { cwd: PYTHON, timeout: INSTALL_MS, encoding: "utf8" });
    if (installed.status !== 0) return `grpcio cannot be installed: ${installed.stderr.slice(-200)}`;
  }
  mkdirSync(join(PYTHON, "gen"), { recursive: true });
  const protos = [...globSync("servable/**/*.proto", { cwd: join(ROOT, "proto") }), ...globSync("{inference,google}/**/*.proto", { cwd: join(ROOT, "proto/third_party") })];
  run(python, ["-m", "grpc_tools.protoc", "-I", "../../proto", "-I", "../../proto/third_party", "--python_out=gen", "--grpc_python_out=gen", ...protos], PYTHON);
  return undefined;
}

/** Runs the Python example and answers what it prints. */
export function runPython(args: readonly string[]): string {
  return run(join(PYTHON, ".venv/bin/python"), ["main.py", ...args], PYTHON);
}

/** Makes the Go example ready: plugins and generated client, as its README says. */
export function prepareGo(): Missing {
  if (!works("go", ["version"])) return "go is not on this machine";
  const bin = join(GO, "bin");
  const env = { ...process.env, GOBIN: bin, PATH: `${bin}:${process.env["PATH"] ?? ""}` };
  for (const plugin of ["google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.11", "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.1"]) {
    const installed = spawnSync("go", ["install", plugin], { cwd: GO, env, timeout: INSTALL_MS, encoding: "utf8" });
    if (installed.status !== 0) return `${plugin} cannot be installed: ${installed.stderr.slice(-200)}`;
  }
  execFileSync(join(ROOT, "node_modules/.bin/buf"), ["generate", "--template", "buf.gen.yaml"], { cwd: GO, env: { ...env, PATH: `${env.PATH}:${join(ROOT, "node_modules/.bin")}` }, stdio: "pipe" });
  const built = spawnSync("go", ["build", "-o", "bin/example", "."], { cwd: GO, env, timeout: INSTALL_MS, encoding: "utf8" });
  if (built.status === 0) return undefined;
  if (/dial tcp|no such host|connection refused|Forbidden/.test(built.stderr)) return `Go modules cannot be fetched: ${built.stderr.slice(-200)}`;
  throw new Error(`the Go example does not compile: ${built.stderr}`);
}

/** Runs the Go example and answers what it prints. */
export function runGo(args: readonly string[]): string {
  return run(join(GO, "bin/example"), args, GO);
}

/** Runs the TypeScript example and answers what it prints. */
export function runNode(args: readonly string[]): string {
  return run(process.execPath, [join(ROOT, "examples/node/main.ts"), ...args], ROOT);
}

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, { cwd, encoding: "utf8", timeout: INSTALL_MS });
}
