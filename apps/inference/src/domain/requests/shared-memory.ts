// System shared memory: a caller on this machine names a POSIX shared memory object once and from then on says "the tensor
// lies there". On Linux such an object is a file, so that opening, reading and writing need nothing native.
//
// I1: no byte outside a registered region is read or written, whatever offset and size a request says.
// I2: regions belong to a project; their names mean nothing to another one.
// I3: a region that a request uses stays until the request is answered, though it be unregistered meanwhile.

import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "@servable/errors";

/** Where Linux keeps POSIX shared memory objects. */
const SHARED_MEMORY_DIR = "/dev/shm";
/** Regions of one project. */
const REGIONS_MAX = 1_000;
/** Longest name of a region and of a shared memory object. */
const NAME_BYTES_MAX = 255;
/** Objects that Triton's Python backend keeps for itself. */
const RESERVED_PREFIX = "triton_python_backend_shm_region_";
/** Bytes of one tensor: beyond it no message could carry it either. */
const PART_BYTES_MAX = 2 ** 31 - 1;

/** A registered piece of a shared memory object. */
export interface SharedMemoryRegion {
  readonly name: string;
  /** The object's name as shm_open() takes it, e.g. "/input_data". */
  readonly key: string;
  /** Where the region begins in the object. */
  readonly offset: number;
  readonly byteSize: number;
}

/** Where a tensor lies within a region. */
export interface SharedMemoryPart {
  readonly region: string;
  readonly offset: number;
  readonly byteSize: number;
}

/** Shared memory as one request uses it. */
export interface RequestMemory extends Disposable {
  /** Makes sure that a part is there, and stays. @throws StatusError as `SharedMemory.read` */
  readonly hold: (part: SharedMemoryPart) => void;
  /** A copy of a part's bytes. */
  readonly read: (part: SharedMemoryPart) => Uint8Array;
  /** Writes an output. */
  readonly write: (part: SharedMemoryPart, output: { readonly name: string; readonly data: Uint8Array }) => void;
}

interface HeldRegion extends SharedMemoryRegion {
  readonly fd: number;
  /** Requests under way that use it. */
  users: number;
  /** Unregistered: goes with its last user. */
  isLeaving: boolean;
}

/** The regions that callers have registered with this process. */
export class SharedMemory implements Disposable {
  readonly #directory: string;
  readonly #regions = new Map<string, Map<string, HeldRegion>>();

  constructor(directory = SHARED_MEMORY_DIR) {
    this.#directory = directory;
  }

  /** @throws StatusError `SHARED_MEMORY_UNUSABLE`, `FIELD_INVALID`, `ALREADY_EXISTS`, in the words that stock clients look for */
  register(project: string, { name, key, offset, byteSize }: SharedMemoryRegion): void {
    const regions = this.#of(project);
    if (name === "" || Buffer.byteLength(name) > NAME_BYTES_MAX) throw new StatusError("FIELD_INVALID", `the name of a shared memory region must have 1 to ${NAME_BYTES_MAX} bytes`, { metadata: { field: "name" } });
    if (regions.has(name)) throw new StatusError("ALREADY_EXISTS", `shared memory region '${name}' already in manager: unregister it first`, { metadata: { region: name } });
    if (regions.size >= REGIONS_MAX) throw new StatusError("FIELD_INVALID", `a project may register ${REGIONS_MAX} shared memory regions: unregister those that are no longer used`);
    const fd = this.#open(key, name);
    const { size } = fstatSync(fd);
    // Negative numbers come from fields beyond 2^63.
    if (byteSize < 1 || offset < 0 || offset + byteSize > size) {
      closeSync(fd);
      throw new StatusError("FIELD_INVALID", `failed to register shared memory region '${name}': invalid args: offset ${offset} and byte_size ${byteSize} do not lie within the ${size} bytes of '${key}'`, { metadata: { region: name } });
    }
    regions.set(name, { name, key, offset, byteSize, fd, users: 0, isLeaving: false });
  }

  /** The named region, or all of them. @throws StatusError `SHARED_MEMORY_UNKNOWN` */
  status(project: string, name: string): SharedMemoryRegion[] {
    const regions = this.#of(project);
    if (name === "") return [...regions.values()];
    const region = regions.get(name);
    if (region === undefined) throw new StatusError("SHARED_MEMORY_UNKNOWN", `Unable to find system shared memory region: '${name}'`, { metadata: { region: name } });
    return [region];
  }

  /** Forgets the named region, or all of them; one that is not there is fine. */
  unregister(project: string, name: string): void {
    const regions = this.#of(project);
    for (const [each, region] of regions) {
      if (name !== "" && name !== each) continue;
      region.isLeaving = true; // I3
      if (region.users === 0) this.#close(project, region);
    }
  }

  /** The regions as one request sees them; disposing it lets them go. */
  forRequest(project: string): RequestMemory {
    const held = new Set<HeldRegion>();
    const hold = (part: SharedMemoryPart): void => {
      const { region } = this.#locate(project, part);
      if (held.has(region)) return;
      held.add(region);
      region.users += 1;
    };
    return {
      hold,
      read: (part) => {
        hold(part);
        return this.read(project, part);
      },
      write: (part, { name, data }) => this.write(project, part, data, name),
      [Symbol.dispose]: () => {
        for (const region of held) {
          region.users -= 1;
          if (region.users === 0 && region.isLeaving) this.#close(project, region);
        }
      },
    };
  }

  /** A copy of a part's bytes. @throws StatusError `SHARED_MEMORY_UNKNOWN`, `FIELD_INVALID`, `SHARED_MEMORY_UNUSABLE` */
  read(project: string, part: SharedMemoryPart): Uint8Array {
    const { region: { fd, key }, position } = this.#locate(project, part);
    // Its own memory: tensors are looked at as numbers, which need alignment.
    const bytes = new Uint8Array(part.byteSize);
    for (let done = 0; done < bytes.length; ) {
      const count = readSync(fd, bytes, done, bytes.length - done, position + done);
      if (count === 0) throw new StatusError("SHARED_MEMORY_UNUSABLE", `shared memory region '${part.region}' has shrunk: '${key}' no longer has the registered bytes`, { metadata: { region: part.region } });
      done += count;
    }
    return bytes;
  }

  /** Writes a tensor into a part. @throws StatusError as `read`, and when the part is too small */
  write(project: string, part: SharedMemoryPart, data: Uint8Array, output: string): void {
    const { region: { fd, key }, position } = this.#locate(project, part);
    if (data.length > part.byteSize) {
      throw new StatusError("FIELD_INVALID", `shared memory size specified with the request for output '${output}' (${part.byteSize} bytes) should be at least ${data.length} bytes to hold the results`, { metadata: { output } });
    }
    // Writing behind the end would make the object grow.
    if (position + data.length > fstatSync(fd).size) throw new StatusError("SHARED_MEMORY_UNUSABLE", `shared memory region '${part.region}' has shrunk: '${key}' no longer has the registered bytes`, { metadata: { region: part.region } });
    for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done, position + done);
  }

  [Symbol.dispose](): void {
    for (const [project, regions] of this.#regions) for (const region of [...regions.values()]) this.#close(project, region);
  }

  #of(project: string): Map<string, HeldRegion> {
    const regions = this.#regions.get(project) ?? new Map<string, HeldRegion>();
    this.#regions.set(project, regions);
    return regions;
  }

  #close(project: string, region: HeldRegion): void {
    closeSync(region.fd);
    this.#of(project).delete(region.name);
  }

  /** I1 */
  #locate(project: string, { region: name, offset, byteSize }: SharedMemoryPart): { region: HeldRegion; position: number } {
    const region = this.#of(project).get(name);
    if (region === undefined) throw new StatusError("SHARED_MEMORY_UNKNOWN", `Unable to find shared memory region: '${name}'`, { metadata: { region: name } });
    if (offset < 0 || offset >= region.byteSize) throw new StatusError("FIELD_INVALID", `Invalid offset for shared memory region: '${name}': ${offset} of ${region.byteSize} bytes`, { metadata: { region: name } });
    if (byteSize < 0 || byteSize > PART_BYTES_MAX || offset + byteSize > region.byteSize) {
      throw new StatusError("FIELD_INVALID", `Invalid offset + byte size for shared memory region: '${name}': ${offset} + ${byteSize} of ${region.byteSize} bytes`, { metadata: { region: name } });
    }
    return { region, position: region.offset + offset };
  }

  #open(key: string, region: string): number {
    const name = key.replace(/^\/+/, "");
    if (name.startsWith(RESERVED_PREFIX)) throw new StatusError("FIELD_INVALID", `cannot register shared memory region '${region}' with key '${key}' as the key contains the reserved prefix '${RESERVED_PREFIX}'`, { metadata: { field: "key" } });
    // A path would lead out of the folder of shared memory objects.
    if (name === "" || name === "." || name === ".." || /[/\0]/.test(name) || Buffer.byteLength(name) > NAME_BYTES_MAX) {
      throw new StatusError("FIELD_INVALID", `cannot register shared memory region '${region}' - invalid shm key '${key}'`, { metadata: { field: "key" } });
    }
    let fd: number;
    try {
      // Links and pipes under such a name are not what the caller says they are; opening a pipe would wait.
      fd = openSync(join(this.#directory, name), constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      throw unopened(key, (error as NodeJS.ErrnoException).code === "EACCES" ? "this service may not read and write it" : "there is none on the machine of this service", error);
    }
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
    throw unopened(key, "it is no shared memory object");
  }
}

function unopened(key: string, why: string, cause?: unknown): StatusError {
  return new StatusError("SHARED_MEMORY_UNUSABLE", `Unable to open shared memory region: '${key}': ${why}`, { metadata: { field: "key" }, cause });
}
