import { Access } from "./access.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import { Datasets } from "./datasets.ts";
import { Deployments } from "./deployments.ts";
import { Explanations } from "./explanations.ts";
import { Inference } from "./inference.ts";
import { Models } from "./models.ts";
import { Studies } from "./studies.ts";
import { Tasks } from "./tasks.ts";
import { Training } from "./training.ts";

/**
 * A platform, over its gateway. All parts share one connection; failed calls throw StatusError with the server's reason.
 *
 * @example
 * using client = new ServableClient({ address: "127.0.0.1:8001", apiKey });
 * await client.models.importFile({ model: "mnist", file: "mnist.onnx" });
 * await client.deployments.deploy({ model: "mnist" });
 */
export class ServableClient implements Disposable {
  readonly models: Models;
  readonly deployments: Deployments;
  readonly datasets: Datasets;
  readonly training: Training;
  readonly studies: Studies;
  readonly inference: Inference;
  readonly tasks: Tasks;
  readonly explanations: Explanations;
  readonly access: Access;
  readonly #connection: Connection;

  constructor(options: ConnectionOptions) {
    this.#connection = new Connection(options);
    this.models = new Models(this.#connection);
    this.deployments = new Deployments(this.#connection);
    this.datasets = new Datasets(this.#connection);
    this.training = new Training(this.#connection);
    this.studies = new Studies(this.#connection);
    this.inference = new Inference(this.#connection);
    this.tasks = new Tasks(this.#connection);
    this.explanations = new Explanations(this.#connection);
    this.access = new Access(this.#connection);
  }

  /** Ends the connection. */
  close(): void {
    this.#connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
