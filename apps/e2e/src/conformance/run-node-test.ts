import type { ServableClient } from "@servable/client";
import { StatusError } from "@servable/errors";
import { differenceOf, readNodeTest, type NodeTestCase } from "@servable/testing";

/** What became of a case. */
export type NodeTestOutcome =
  | { readonly kind: "passed" }
  /** Some step answered with an error, or an output is another than the expected one. */
  | { readonly kind: "failed"; readonly message: string; readonly code: string };

/**
 * Runs one case as a user would: imports the model, deploys it, calls it by gRPC, and takes it out of service again.
 *
 * Never throws for what the platform answers: that is the outcome.
 */
export async function runNodeTest(client: ServableClient, test: NodeTestCase): Promise<NodeTestOutcome> {
  const model = test.name;
  try {
    await client.models.importFile({ model, file: test.modelPath });
    await client.deployments.deploy({ model });
    const { inputs, outputs: expected } = readNodeTest(test);
    const { outputs } = await client.inference.infer({ model, inputs });
    await client.deployments.undeploy(model);
    for (const [name, want] of Object.entries(expected)) {
      const difference = differenceOf(outputs[name], want);
      if (difference !== undefined) return { kind: "failed", message: `output "${name}" ${difference}`, code: "DIFFERENT" };
    }
    return { kind: "passed" };
  } catch (error) {
    const { message, reason, code } = StatusError.from(error);
    return { kind: "failed", message: `${reason}: ${message}`, code };
  }
}
