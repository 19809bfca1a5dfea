import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { DeploymentSchema, Deployment_State, ReplicaSchema } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable status`: what runs and what is served. */
export function statusCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("status"))
    .description("Show whether the platform is ready, its replicas and what they serve.")
    .addHelpText("after", "\nExamples:\n  $ servable status\n  $ servable status --json | jq .ready")
    .action((options: CommonOptions) =>
      withClient(options, terminal, async (client, target) => {
        const [ready, deployments, replicas] = await Promise.all([client.inference.serverReady(), client.deployments.list(), client.deployments.replicas().catch(noneForOthers)]);
        if (options.json) {
          return printJson(terminal, { ready, grpcAddress: target.address, httpAddress: target.httpAddress, replicas: replicas.map((replica) => toJson(ReplicaSchema, replica)), deployments: deployments.map((deployment) => toJson(DeploymentSchema, deployment)) });
        }
        printLine(terminal, `${ready ? "ready" : "not ready"} · gRPC ${target.address} · HTTP http://${target.httpAddress} · ${replicas.length} inference ${replicas.length === 1 ? "replica" : "replicas"}`);
        if (deployments.length === 0) return printLine(terminal, "nothing is deployed: servable deploy MODEL");
        printLine(terminal, "");
        printLine(terminal, renderTable(["deployment", "model", "state", "serves version", "replicas", "trouble"], deployments.map((deployment) => [lastPart(deployment.name), lastPart(deployment.model), Deployment_State[deployment.state], deployment.readyVersions.join(", "), deployment.replicaCount, deployment.failureMessage.slice(0, 80)])));
      }),
    );
}

/** Replicas are for administrators; others see the rest. */
function noneForOthers(error: unknown): never[] {
  if (error instanceof StatusError && (error.code === "PERMISSION_DENIED" || error.code === "UNIMPLEMENTED")) return [];
  throw error;
}
