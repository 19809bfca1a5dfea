// Windows bitmaps, which libvips does not read. Strict: a header that contradicts itself or the length of the file is
// refused before anything is allocated. Source: Microsoft, "Bitmap Storage" (BITMAPINFOHEADER to BITMAPV5HEADER) and
// "Bitmap Compression" (RLE4, RLE8).

import { StatusError } from "@servable/errors";
import type { Picture } from "./picture.ts";

const FILE_HEADER_BYTES = 14;
const HEADER_SIZES = new Set([12, 40, 52, 56, 64, 108, 124]);
const [RGB, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS] = [0, 1, 2, 3, 6];

interface Header {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  readonly pixelsAt: number;
  /** Four bytes or, in OS/2 files, three: blue, green, red. */
  readonly palette: { readonly bytes: Buffer; readonly entryBytes: number };
  /** Red, green, blue. */
  readonly masks: readonly [number, number, number];
}

/** Width and height of a bitmap. @throws StatusError `IMAGE_INVALID` */
export function bitmapSize(bytes: Uint8Array): { width: number; height: number } {
  const { width, height } = readHeader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return { width, height };
}

/** Decodes a bitmap of 1, 4, 8, 16, 24 or 32 bits a pixel; transparency is ignored, as viewers do. @throws StatusError `IMAGE_INVALID` */
export function decodeBitmap(bytes: Uint8Array): Picture {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(file);
  const rgb = new Uint8Array(header.width * header.height * 3);
  if (header.compression === RLE8 || header.compression === RLE4) decodeRuns(file, header, rgb);
  else decodeRows(file, header, rgb);
  return { width: header.width, height: header.height, rgb };
}

function readHeader(file: Buffer): Header {
  const size = file.length < FILE_HEADER_BYTES + 12 ? 0 : file.readUInt32LE(14);
  if (!HEADER_SIZES.has(size) || file.length < FILE_HEADER_BYTES + size) throw invalid("its header is cut off or of an unknown kind");
  const old = size === 12;
  const width = old ? file.readUInt16LE(18) : file.readInt32LE(18);
  const signedHeight = old ? file.readUInt16LE(20) : file.readInt32LE(22);
  const bits = file.readUInt16LE(old ? 24 : 28);
  const compression = old ? RGB : file.readUInt32LE(30);
  const height = Math.abs(signedHeight);
  if (width <= 0 || height === 0) throw invalid(`it claims to be ${width}×${signedHeight} pixels`);
  const known = compression === RGB ? [1, 4, 8, 16, 24, 32].includes(bits) : compression === RLE8 ? bits === 8 : compression === RLE4 ? bits === 4 : (compression === BITFIELDS || compression === ALPHA_BITFIELDS) && (bits === 16 || bits === 32);
  if (!known) throw invalid(`compression ${compression} with ${bits} bits a pixel is not read`);
  const pixelsAt = file.readUInt32LE(10);
  const masksBytes = size === 40 && compression === BITFIELDS ? 12 : size === 40 && compression === ALPHA_BITFIELDS ? 16 : 0;
  const paletteAt = FILE_HEADER_BYTES + size + masksBytes;
  if (pixelsAt < paletteAt || pixelsAt > file.length) throw invalid("its pixels begin outside of the file");
  const masks: Header["masks"] = compression === RGB ? (bits === 16 ? [0x7c00, 0x03e0, 0x001f] : [0xff0000, 0xff00, 0xff]) : compression === BITFIELDS || compression === ALPHA_BITFIELDS ? [file.readUInt32LE(54), file.readUInt32LE(58), file.readUInt32LE(62)] : [0, 0, 0];
  if (masks.some((mask) => mask === 0 && (bits === 16 || bits === 32))) throw invalid("one of its colour masks is empty");
  const palette = { bytes: file.subarray(paletteAt, pixelsAt), entryBytes: old ? 3 : 4 };
  return { width, height, topDown: signedHeight < 0, bits, compression, pixelsAt, palette, masks };
}

function decodeRows(file: Buffer, header: Header, rgb: Uint8Array): void {
  const { width, height, bits, pixelsAt, masks } = header;
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (pixelsAt + stride * height > file.length) throw invalid(`it is cut off: ${width}×${height} pixels of ${bits} bits take ${stride * height} bytes, it has ${file.length - pixelsAt}`);
  const scalers = masks.map(scalerOf);
  for (let row = 0; row < height; row++) {
    const from = pixelsAt + row * stride;
    let to = (header.topDown ? row : height - 1 - row) * width * 3;
    for (let x = 0; x < width; x++, to += 3) {
      if (bits <= 8) {
        const byte = file[from + ((x * bits) >> 3)] as number;
        paint(rgb, to, header, (byte >> (8 - bits - ((x * bits) & 7))) & ((1 << bits) - 1));
      } else if (bits === 24) {
        rgb[to] = file[from + x * 3 + 2] as number;
        rgb[to + 1] = file[from + x * 3 + 1] as number;
        rgb[to + 2] = file[from + x * 3] as number;
      } else {
        const pixel = bits === 16 ? file.readUInt16LE(from + x * 2) : file.readUInt32LE(from + x * 4);
        for (let channel = 0; channel < 3; channel++) rgb[to + channel] = (scalers[channel] as (pixel: number) => number)(pixel);
      }
    }
  }
}

/** Pixels that no run names stay as the first colour of the palette. */
function decodeRuns(file: Buffer, header: Header, rgb: Uint8Array): void {
  const { width, height, compression } = header;
  for (let at = 0; at < rgb.length; at += 3) paint(rgb, at, header, 0);
  let [x, y, at] = [0, 0, header.pixelsAt];
  const next = (): number => {
    const byte = file[at++];
    if (byte === undefined) throw invalid("it is cut off in the middle of a run");
    return byte;
  };
  const put = (index: number): void => {
    if (x < width && y < height) paint(rgb, ((header.topDown ? y : height - 1 - y) * width + x) * 3, header, index);
    x++;
  };
  while (y < height) {
    const count = next();
    const value = next();
    if (count > 0) {
      for (let index = 0; index < count; index++) put(compression === RLE8 ? value : index % 2 === 0 ? value >> 4 : value & 15);
    } else if (value === 0) {
      x = 0;
      y++;
    } else if (value === 1) {
      return;
    } else if (value === 2) {
      x += next();
      y += next();
    } else {
      const begin = at;
      for (let index = 0, byte = 0; index < value; index++) {
        if (compression === RLE8 || index % 2 === 0) byte = next();
        put(compression === RLE8 ? byte : index % 2 === 0 ? byte >> 4 : byte & 15);
      }
      if ((at - begin) % 2 === 1) at++;
    }
  }
}

function paint(rgb: Uint8Array, at: number, { palette: { bytes, entryBytes } }: Header, index: number): void {
  const from = index * entryBytes;
  if (from + 2 >= bytes.length) throw invalid(`it uses colour ${index}, which its palette lacks`);
  rgb[at] = bytes[from + 2] as number;
  rgb[at + 1] = bytes[from + 1] as number;
  rgb[at + 2] = bytes[from] as number;
}

/** The bits under a mask as 0 to 255. */
function scalerOf(mask: number): (pixel: number) => number {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const largest = (mask >>> shift) >>> 0;
  return (pixel) => Math.round(((((pixel & mask) >>> 0) >>> shift) * 255) / largest);
}

function invalid(what: string): StatusError {
  return new StatusError("IMAGE_INVALID", `the bitmap cannot be read: ${what}`);
}
