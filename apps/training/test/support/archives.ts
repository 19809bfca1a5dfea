import { crc32, deflateRawSync } from "node:zlib";

/** A file of a {@link zip}; `claims` overrides what the directory says of it. */
export interface ZipEntry {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly claims?: { readonly uncompressedSize?: number; readonly flags?: number; readonly offset?: number };
}

/** A zip archive. Source: PKWARE APPNOTE 6.3.10, §4.3. */
export function zip(entries: readonly ZipEntry[]): Buffer {
  const [locals, centrals]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const { path, bytes, claims = {} } of entries) {
    const name = Buffer.from(path);
    const packed = deflateRawSync(bytes);
    const sizes = Buffer.alloc(12);
    sizes.writeUInt32LE(crc32(bytes), 0);
    sizes.writeUInt32LE(packed.length, 4);
    sizes.writeUInt32LE(claims.uncompressedSize ?? bytes.length, 8);
    const head = Buffer.from([20, 0, claims.flags ?? 0, 8, 8, 0, 0, 0, 0, 0]);
    const lengths = Buffer.from([name.length & 255, name.length >> 8, 0, 0]);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), head, sizes, lengths, name, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(claims.offset ?? offset, 10);
    centrals.push(Buffer.concat([Buffer.from("PK\x01\x02", "latin1"), Buffer.from([20, 0]), head, sizes, lengths, tail, name]));
    // An entry that claims the place of another one has no bytes of its own.
    if (claims.offset !== undefined) continue;
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from("PK\x05\x06", "latin1"), end]);
}

/** A NumPy array in C order. */
export function npy(descr: string, shape: readonly number[], body: Uint8Array): Buffer {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), Buffer.from([header.length & 255, header.length >> 8]), Buffer.from(header), body]);
}

/** A picture of one colour as a bitmap. */
export function bitmap(width: number, height: number, [red, green, blue]: readonly [number, number, number]): Buffer {
  const stride = (width * 3 + 3) & ~3;
  const head = Buffer.alloc(54);
  head.write("BM", 0);
  head.writeUInt32LE(54 + stride * height, 2);
  head.writeUInt32LE(54, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(24, 28);
  const row = Buffer.alloc(stride);
  for (let x = 0; x < width; x++) row.set([blue, green, red], x * 3);
  return Buffer.concat([head, ...Array.from({ length: height }, () => row)]);
}
