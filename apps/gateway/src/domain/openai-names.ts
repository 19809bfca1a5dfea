// OpenAI's clients know a fine-tuned model as "ft:base:org:suffix:id"; it is deployed under the same name with commas, since
// a colon begins a verb in paths. No other model has a comma in a name that begins with "ft".

/** The name of the deployment behind a name that an OpenAI client says. */
export function deploymentOf(model: string): string {
  return model.startsWith("ft:") ? model.replaceAll(":", ",") : model;
}

/** The name under which OpenAI's clients know a deployment. */
export function openAiName(deployment: string): string {
  return deployment.startsWith("ft,") ? deployment.replaceAll(",", ":") : deployment;
}
