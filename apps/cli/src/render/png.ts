import { crc32, deflateSync } from "node:zlib";

/** Red, green, blue of each pixel, row after row from the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const RGB = 2;
/** The difference to the pixel on the left: what neighbours share costs nothing then. */
const FILTER_SUB = 1;

/** The bytes of a PNG file. Source: Portable Network Graphics (W3C, second edition), chapters 5, 9 and 11. */
export function encodePng({ width, height, rgb }: Pixels): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, RGB, 0, 0, 0], 8);
  const stride = width * 3;
  const rows = Buffer.alloc(height * (stride + 1));
  for (let row = 0; row < height; row++) {
    rows[row * (stride + 1)] = FILTER_SUB;
    for (let column = 0; column < stride; column++) {
      const left = column < 3 ? 0 : (rgb[row * stride + column - 3] ?? 0);
      rows[row * (stride + 1) + 1 + column] = (rgb[row * stride + column] ?? 0) - left;
    }
  }
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("IDAT", deflateSync(rows, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
