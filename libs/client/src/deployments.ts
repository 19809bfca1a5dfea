import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ReplicaService, type ListReplicaStatusesResponse } from "@servable/contracts/inference/v1/replica";
import { DeploymentService, Deployment_State, type VersionPolicySchema, type Deployment, type Replica } from "@servable/contracts/registry/v1/deployment";
import { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import { allPages, untimed, type ClientCallOptions, type Connection } from "./connection.ts";
import { isUnavailable, pause } from "./retry.ts";

/** How long we wait for the gateway to learn of a deployment that is READY. */
const ROUTE_WAIT_MS = 10_000;
const ROUTE_POLL_MS = 40;

/** Which versions serve, as the contract has it. */
export type VersionPolicyInit = MessageInitShape<typeof VersionPolicySchema>;

/** What is to be served, and as what. */
export interface DeployOptions extends ClientCallOptions {
  readonly model: string;
  /** This version; with neither `version` nor `alias` the newest READY one, also when newer ones come. */
  readonly version?: number | undefined;
  /** The version that this alias points at, also when it moves. */
  readonly alias?: string | undefined;
  /** Any other choice of versions: several newest, several named ones, all, those that labels point at. */
  readonly versionPolicy?: VersionPolicyInit | undefined;
  /** Name that inference callers say. @default the model's id */
  readonly as?: string | undefined;
  /** Replicas that load it. @default 1 */
  readonly replicas?: number | undefined;
  /** Called with each change of state. */
  readonly onState?: ((deployment: Deployment) => void) | undefined;
}

/** What is served. */
export class Deployments {
  readonly #connection: Connection;
  readonly #deployments: Client<typeof DeploymentService>;
  readonly #inference: Client<typeof GRPCInferenceService>;
  readonly #replicas: Client<typeof ReplicaService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#deployments = connection.client(DeploymentService);
    this.#inference = connection.client(GRPCInferenceService);
    this.#replicas = connection.client(ReplicaService);
  }

  /**
   * Creates or changes a deployment and waits until callers of this gateway reach it.
   *
   * @throws StatusError `MODEL_NOT_FOUND`, `MODEL_LOAD_FAILED` with onnxruntime's words, `STATE_WRONG` when the name serves another model
   * @example await client.deployments.deploy({ model: "mnist" });
   */
  async deploy(options: DeployOptions): Promise<Deployment> {
    const id = options.as ?? options.model;
    const name = this.#connection.name("deployments", id);
    await this.#write(id, name, options);
    const deployment = await this.#settled(name, options);
    await this.#routed(id, options);
    return deployment;
  }

  /** Stops serving; replicas drain. @throws StatusError `DEPLOYMENT_NOT_FOUND` */
  async undeploy(id: string, options: ClientCallOptions = {}): Promise<void> {
    await this.#deployments.deleteDeployment({ name: this.#connection.name("deployments", id) }, options);
  }

  get(id: string, options: ClientCallOptions = {}): Promise<Deployment> {
    return this.#connection.retrying(() => this.#deployments.getDeployment({ name: this.#connection.name("deployments", id) }, options), options);
  }

  list(options: ClientCallOptions = {}): Promise<Deployment[]> {
    const { parent } = this.#connection;
    return allPages(async (pageToken) => {
      const { deployments, nextPageToken } = await this.#connection.retrying(() => this.#deployments.listDeployments({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: deployments, nextPageToken };
    });
  }

  /** The inference replicas that hold a lease; administrators only. */
  async replicas(options: ClientCallOptions = {}): Promise<Replica[]> {
    return (await this.#connection.retrying(() => this.#deployments.listReplicas({}, options), options)).replicas;
  }

  /** What every replica is doing: models, memory, engines; administrators only. */
  replicaStatuses(options: ClientCallOptions = {}): Promise<ListReplicaStatusesResponse> {
    return this.#connection.retrying(() => this.#replicas.listReplicaStatuses({}, options), options);
  }

  async #write(id: string, name: string, options: DeployOptions): Promise<void> {
    const model = this.#connection.name("models", options.model);
    const versionPolicy = policyOf(options);
    const replicaCount = options.replicas ?? 1;
    try {
      await this.#connection.retrying(() => this.#deployments.createDeployment({ parent: this.#connection.parent, deploymentId: id, deployment: { model, versionPolicy, replicaCount } }, { signal: options.signal }), options);
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "ALREADY_EXISTS") throw error;
      const found = await this.get(id, { signal: options.signal });
      if (found.model !== model) throw new StatusError("STATE_WRONG", `"${id}" already serves ${found.model}: undeploy it first, or choose another name`, { metadata: { deployment: name } });
      const request = { deployment: { name, model, versionPolicy, replicaCount }, updateMask: { paths: ["version_policy", "replica_count"] } };
      await this.#connection.retrying(() => this.#deployments.updateDeployment(request, { signal: options.signal }), options);
    }
  }

  async #settled(name: string, options: DeployOptions): Promise<Deployment> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        for await (const deployment of this.#deployments.watchDeployment({ name }, untimed(options))) {
          attempt = 1;
          options.onState?.(deployment);
          if (deployment.state === Deployment_State.READY) return deployment;
          if (deployment.state === Deployment_State.FAILED) {
            throw new StatusError("MODEL_LOAD_FAILED", `${name} could not be loaded: ${deployment.failureMessage}`, { metadata: { deployment: name } });
          }
        }
        throw new StatusError("DEPLOYMENT_NOT_FOUND", `${name} was deleted while it was loading`, { metadata: { deployment: name } });
      } catch (error) {
        // The first answer of a new watch is the state as it is now, so nothing is missed.
        if (!isUnavailable(error) || attempt >= (this.#connection.retryPolicy.attemptsMax ?? 4)) throw error;
        await pause(attempt, this.#connection.retryPolicy, options.signal);
      }
    }
  }

  /**
   * READY in the registry reaches the gateway by its own watch, a moment later. The wait has an end: an administrator who
   * deploys in another project never sees the route with the own key, and the deployment is good all the same.
   */
  async #routed(model: string, { signal }: ClientCallOptions): Promise<void> {
    const endMs = Date.now() + ROUTE_WAIT_MS;
    while (Date.now() < endMs) {
      const ready = await this.#inference.modelReady({ name: model }, { signal }).then(
        (answer) => answer.ready,
        (error: unknown) => {
          if (error instanceof StatusError && (error.code === "NOT_FOUND" || error.code === "UNAVAILABLE")) return false;
          throw error;
        },
      );
      if (ready) return;
      await sleep(ROUTE_POLL_MS);
    }
  }
}

function policyOf({ version, alias, versionPolicy }: DeployOptions): VersionPolicyInit {
  if (versionPolicy !== undefined) return versionPolicy;
  if (version !== undefined && alias !== undefined) throw new StatusError("FIELD_INVALID", "choose either a version or an alias", { metadata: { field: "alias" } });
  if (version !== undefined) return { choice: { case: "specific" as const, value: { versions: [BigInt(version)] } } };
  if (alias !== undefined) return { choice: { case: "alias" as const, value: alias } };
  return { choice: { case: "latest" as const, value: { versionCount: 1 } } };
}
