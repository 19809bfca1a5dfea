import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { fromGrpcError, toGrpcStatus } from "./status.ts";

/** Clients of gRPC's C core refuse trailers beyond this. */
const TRAILERS_BYTES_MAX = 8_192;

function trailerBytes({ details, metadata }: ReturnType<typeof toGrpcStatus>): number {
  const binary = Object.values(metadata?.toHttp2Headers() ?? {}).flat().reduce<number>((sum, value) => sum + String(value).length, 0);
  return encodeURI(details ?? "").length + binary;
}

describe("a status on the wire", () => {
  const names = { "a long name": "x".repeat(1_000_000), "a name of which each character takes nine bytes": "ä\u{1f600}".repeat(50_000), "half a surrogate": "\ud800".repeat(5_000) };
  for (const [what, name] of Object.entries(names)) {
    it(`fits into a client's trailers with ${what}`, () => {
      const status = toGrpcStatus(new StatusError("INPUT_UNEXPECTED", `unexpected inference input '${name}' for model 'm': it takes INPUT0`, { metadata: { input: name } }));

      assert.ok(trailerBytes(status) < TRAILERS_BYTES_MAX);
      assert.match(status.details ?? "", /^unexpected inference input .* it takes INPUT0$/s);
      const read = fromGrpcError({ ...status, name: "", message: "" });
      assert.equal(read.reason, "INPUT_UNEXPECTED");
    });
  }

  it("says short messages as they are", () => {
    assert.equal(toGrpcStatus(new StatusError("MODEL_NOT_FOUND", "no model 'ä'")).details, "no model 'ä'");
  });
});
