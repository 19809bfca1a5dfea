// Servers that people would use instead, with the same model. They are measured where they are installed, and named where
// they are not.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { startServerProcess, type ServerProcess } from "./start-server.ts";

const PEERS = join(import.meta.dirname, "../peers");
const PYTHON = process.env["SERVABLE_BENCH_PYTHON"] ?? join(PEERS, ".venv/bin/python");
const RUST = process.env["SERVABLE_BENCH_RUST"] ?? join(PEERS, "rust/target/release/peer");

/** A peer that can be started with a model file. */
export interface Peer {
  readonly name: string;
  start(modelFile: string): Promise<ServerProcess>;
}

/** The gRPC peers of this machine. */
export function grpcPeers(): Peer[] {
  return [...python("Python grpc.aio", "python-grpc-aio/server.py"), ...rust()];
}

/** The JSON peers of this machine. */
export function jsonPeers(): Peer[] {
  return python("FastAPI", "fastapi/server.py");
}

function python(name: string, script: string): Peer[] {
  if (!existsSync(PYTHON)) {
    console.log(`  (${name} is left out: python3 -m venv ${join(PEERS, ".venv")}, then pip install grpcio onnxruntime fastapi uvicorn uvloop httptools numpy)`);
    return [];
  }
  return [{ name, start: (modelFile) => startServerProcess(PYTHON, [join(PEERS, script), modelFile]) }];
}

function rust(): Peer[] {
  if (!existsSync(RUST)) {
    console.log(`  (Rust tonic + ort is left out: cargo build --release in ${join(PEERS, "rust")})`);
    return [];
  }
  const library = join(dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json")), `bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime.so.1`);
  return [{ name: "Rust tonic + ort", start: (modelFile) => startServerProcess(RUST, [modelFile], { ...process.env, ORT_DYLIB_PATH: library }) }];
}
