// Lists the models of a project and runs one of them with the TypeScript client.
// From the repository's root: npx node examples/node/main.ts [address] [key] [model]

import { ServableClient } from "../../libs/client/src/index.ts";
import { elementsOf, tensorOf } from "../../libs/tensor/src/index.ts";

const [address = "127.0.0.1:8001", apiKey = process.env["SERVABLE_API_KEY"], model = "simple"] = process.argv.slice(2);
using client = new ServableClient({ address, apiKey });

for (const { name, latestVersion } of await client.models.list()) console.log(`model ${name} latest version ${latestVersion}`);

const row = tensorOf("INT32", [1, 16], [...Array(16).keys()]);
const { outputs } = await client.inference.infer({ model, inputs: { INPUT0: row, INPUT1: row } });
for (const [name, tensor] of Object.entries(outputs)) console.log(name, elementsOf(tensor));
