import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { StatusError, type Reason } from "@servable/errors";
import { checkEtag, checkId, checkServedName, decodePageToken, encodePageToken, etagOf, formatName, pageOf, pageSizeOf, parseName } from "./index.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;
const MODEL = "projects/{project}/models/{model}";

describe("resource names", () => {
  it("read what they write", () => {
    const id = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,62}$/);
    fc.assert(fc.property(id, id, (project, model) => assert.deepEqual(parseName(MODEL, formatName(MODEL, { project, model })), { project, model })));
  });

  for (const name of ["", "projects/p", "projects/p/models/", "projects/p/models/m/versions/1", "projects//models/m", "models/m"]) {
    it(`refuse "${name}" and say the form`, () => {
      assert.throws(() => parseName(MODEL, name), (error: unknown) => reason("RESOURCE_NAME_INVALID")(error) && (error as Error).message.includes(MODEL));
    });
  }

  for (const name of ["simple", "onnx_INT32", "v2.1", "nop_TYPE_FP32_-1,-1", "A".repeat(128)]) {
    it(`serve a model under the name "${name}"`, () => assert.equal(checkServedName("model_id", name), name));
  }

  for (const name of ["", ".", "..", "-a", "a/b", "a:b", "a b", "a".repeat(129), "ä"]) {
    it(`serve no model under the name "${name}"`, () => assert.throws(() => checkServedName("model_id", name), reason("FIELD_INVALID")));
  }

  for (const id of ["", "A", "-a", "a/b", "a".repeat(64), "ä"]) {
    it(`refuse the id "${id}"`, () => assert.throws(() => checkId("model_id", id), reason("FIELD_INVALID")));
  }
});

describe("pages", () => {
  it("hand out a token only while rows are left, bound to its list", () => {
    const { rows, nextPageToken } = pageOf([1, 2, 3], 2, "models", (row) => row);

    assert.deepEqual(rows, [1, 2]);
    assert.equal(decodePageToken("models", nextPageToken), 2);
    assert.equal(pageOf([1, 2], 2, "models", (row) => row).nextPageToken, "");
    assert.throws(() => decodePageToken("jobs", encodePageToken("models", 2)), reason("PAGE_TOKEN_INVALID"));
    assert.throws(() => decodePageToken("models", "made up"), reason("PAGE_TOKEN_INVALID"));
  });

  it("bound their size", () => {
    assert.deepEqual([pageSizeOf(0), pageSizeOf(7), pageSizeOf(5000)], [50, 7, 1000]);
    assert.throws(() => pageSizeOf(-1), reason("FIELD_INVALID"));
  });
});

describe("etags", () => {
  it("refuse a lost update", () => {
    checkEtag("", etagOf(3));
    checkEtag(etagOf(3), etagOf(3));
    assert.throws(() => checkEtag(etagOf(2), etagOf(3)), reason("ETAG_MISMATCH"));
  });
});
