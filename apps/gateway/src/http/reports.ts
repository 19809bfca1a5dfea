import { Readable } from "node:stream";
import type { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import type { Client } from "@servable/grpc";
import type { FastifyInstance } from "fastify";
import { callerOfRequest, referenceOf, route } from "./http-caller.ts";

/** What training leaves with a version, and as what it is shown. */
const DOCUMENTS = { report: { path: "report.html", type: "text/html; charset=utf-8" }, "model-card": { path: "MODEL_CARD.md", type: "text/markdown; charset=utf-8" } } as const;
const READ_TIMEOUT_MS = 60_000;
/** The page needs its own styles and nothing else. Whoever uploads a version may put any page there: it must not act here. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";

/** Registers `…/report` and `…/model-card` of a version of the registry. */
export function reportRoutes(app: FastifyInstance, registry: Client<typeof ModelRegistryService>): void {
  for (const [name, { path, type }] of Object.entries(DOCUMENTS)) {
    route(app, "GET", `/v2/models/:model/versions/:version/${name}`, async (request, reply) => {
      const { model, version } = referenceOf(request);
      const { identity, signal } = callerOfRequest(request, reply);
      const answers = registry.downloadArtifact({ modelVersion: `projects/${identity.project}/models/${model}/versions/${version}`, path }, { identity, signal, timeoutMs: READ_TIMEOUT_MS })[Symbol.asyncIterator]();
      // The first message tells whether there is such a file, while the status can still say so.
      const first = await answers.next();
      const bytes = async function* (): AsyncGenerator<Uint8Array> {
        for (let next = first; next.done !== true; next = await answers.next()) yield next.value.chunk;
      };
      void reply.type(type).header("content-security-policy", POLICY).header("x-content-type-options", "nosniff").header("referrer-policy", "no-referrer").header("cache-control", "private, max-age=3600");
      return reply.send(Readable.from(bytes()));
    });
  }
}
