export { readEnv, type Env, type EnvReader } from "./env.ts";
