export { childEnvironment } from "./child-environment.ts";
export { readEnv, type Env, type EnvReader } from "./env.ts";
