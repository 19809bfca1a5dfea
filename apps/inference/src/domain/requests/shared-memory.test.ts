import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { SharedMemory } from "./shared-memory.ts";

const failureOf = (work: () => unknown): StatusError => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
    return error;
  }
  return assert.fail("nothing was thrown");
};

describe("system shared memory", () => {
  const directory = tempDir();
  const path = join(directory.path, "block");
  let memory: SharedMemory;
  before(() => {
    symlinkSync(path, join(directory.path, "link"));
    execFileSync("mkfifo", [join(directory.path, "pipe")]);
  });
  beforeEach(() => {
    memory?.[Symbol.dispose]();
    memory = new SharedMemory(directory.path);
    writeFileSync(path, Uint8Array.from({ length: 64 }, (_, index) => index));
    memory.register("p", { name: "r", key: "/block", offset: 16, byteSize: 32 });
  });
  after(() => {
    memory[Symbol.dispose]();
    directory[Symbol.dispose]();
  });

  it("reads and writes within a region", () => {
    assert.deepEqual([...memory.read("p", { region: "r", offset: 4, byteSize: 3 })], [20, 21, 22]);

    memory.write("p", { region: "r", offset: 30, byteSize: 2 }, Uint8Array.of(7, 8), "OUT");

    assert.deepEqual([...readFileSync(path).subarray(44, 50)], [44, 45, 7, 8, 48, 49]);
  });

  it("lists and forgets the regions of one project", () => {
    memory.register("other", { name: "r", key: "block", offset: 0, byteSize: 1 });

    assert.deepEqual(memory.status("p", "").map(({ name, key, offset, byteSize }) => ({ name, key, offset, byteSize })), [{ name: "r", key: "/block", offset: 16, byteSize: 32 }]);
    memory.unregister("p", "");
    memory.unregister("p", "r");
    assert.deepEqual(memory.status("p", ""), []);
    assert.equal(memory.status("other", "r").length, 1);
  });

  const registrations = [
    { what: "a name that is taken", region: { name: "r", key: "block", offset: 0, byteSize: 1 }, reason: "ALREADY_EXISTS", text: /shared memory region 'r' already in manager/ },
    { what: "an object that is not there", region: { name: "x", key: "/test_shm", offset: 0, byteSize: 1 }, reason: "SHARED_MEMORY_UNUSABLE", text: /Unable to open shared memory region: '\/test_shm'/ },
    { what: "a path", region: { name: "x", key: "/../etc/passwd", offset: 0, byteSize: 1 }, reason: "FIELD_INVALID", text: /cannot register shared memory region 'x' - invalid shm key '\/\.\.\/etc\/passwd'/ },
    { what: "nothing but slashes", region: { name: "x", key: "///", offset: 0, byteSize: 1 }, reason: "FIELD_INVALID", text: /invalid shm key '\/\/\/'/ },
    { what: "a reserved name", region: { name: "x", key: "//triton_python_backend_shm_region_1", offset: 0, byteSize: 1 }, reason: "FIELD_INVALID", text: /contains the reserved prefix 'triton_python_backend_shm_region_'/ },
    { what: "the folder itself", region: { name: "x", key: "/..", offset: 0, byteSize: 1 }, reason: "FIELD_INVALID", text: /invalid shm key/ },
    { what: "a link", region: { name: "x", key: "link", offset: 0, byteSize: 1 }, reason: "SHARED_MEMORY_UNUSABLE", text: /Unable to open/ },
    { what: "a pipe", region: { name: "x", key: "pipe", offset: 0, byteSize: 1 }, reason: "SHARED_MEMORY_UNUSABLE", text: /no shared memory object/ },
    { what: "more bytes than there are", region: { name: "x", key: "block", offset: 60, byteSize: 5 }, reason: "FIELD_INVALID", text: /failed to register shared memory region 'x': invalid args/ },
    { what: "an offset beyond any file", region: { name: "x", key: "block", offset: 2 ** 63, byteSize: 5 }, reason: "FIELD_INVALID", text: /invalid args/ },
    { what: "no bytes", region: { name: "x", key: "block", offset: 0, byteSize: 0 }, reason: "FIELD_INVALID", text: /invalid args/ },
    { what: "no name", region: { name: "", key: "block", offset: 0, byteSize: 1 }, reason: "FIELD_INVALID", text: /name/ },
  ];
  for (const { what, region, reason, text } of registrations) {
    it(`refuses to register ${what}`, () => {
      const failure = failureOf(() => memory.register("p", region));

      assert.equal(failure.reason, reason);
      assert.match(failure.message, text);
    });
  }

  const parts = [
    { what: "of a region that nobody registered", part: { region: "nope", offset: 0, byteSize: 1 }, text: /Unable to find shared memory region: 'nope'/ },
    { what: "that begins behind the region", part: { region: "r", offset: 32, byteSize: 0 }, text: /Invalid offset for shared memory region: 'r'/ },
    { what: "that ends behind the region", part: { region: "r", offset: 30, byteSize: 3 }, text: /Invalid offset \+ byte size for shared memory region: 'r'/ },
    { what: "with a size that overflows", part: { region: "r", offset: 1, byteSize: Number.MAX_SAFE_INTEGER }, text: /Invalid offset \+ byte size/ },
  ];
  for (const { what, part, text } of parts) {
    it(`refuses a part ${what}`, () => {
      assert.match(failureOf(() => memory.read("p", part)).message, text);
      assert.match(failureOf(() => memory.write("p", part, new Uint8Array(), "OUT")).message, text);
    });
  }

  it("refuses an output that is larger than its part, and writes nothing of it", () => {
    assert.match(failureOf(() => memory.write("p", { region: "r", offset: 0, byteSize: 2 }, new Uint8Array(3), "OUT")).message, /output 'OUT' \(2 bytes\) should be at least 3 bytes/);
    assert.equal(readFileSync(path)[16], 16);
  });

  it("notices that an object has shrunk", () => {
    truncateSync(path, 20);

    assert.equal(failureOf(() => memory.read("p", { region: "r", offset: 0, byteSize: 8 })).reason, "SHARED_MEMORY_UNUSABLE");
    assert.equal(failureOf(() => memory.write("p", { region: "r", offset: 0, byteSize: 8 }, new Uint8Array(8), "OUT")).reason, "SHARED_MEMORY_UNUSABLE");
    assert.equal(readFileSync(path).length, 20);
  });

  it("keeps a region that a request uses until the request is answered", () => {
    const request = memory.forRequest("p");
    request.read({ region: "r", offset: 0, byteSize: 1 });
    request.hold({ region: "r", offset: 1, byteSize: 1 });

    memory.unregister("p", "");

    assert.equal(memory.status("p", "").length, 1);
    request.write({ region: "r", offset: 1, byteSize: 1 }, { name: "OUT", data: Uint8Array.of(99) });
    assert.equal(readFileSync(path)[17], 99);
    request[Symbol.dispose]();
    assert.deepEqual(memory.status("p", ""), []);
  });

  it("keeps regions of one project from another", () => {
    assert.equal(failureOf(() => memory.read("other", { region: "r", offset: 0, byteSize: 1 })).reason, "SHARED_MEMORY_UNKNOWN");
  });
});
