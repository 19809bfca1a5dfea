/** A picture of 24-bit pixels: red, green, blue, row after row from the top. */
export interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** Reads an uncompressed 24-bit Windows bitmap: enough for test pictures, without an image library. */
export function readBitmap(bytes: Buffer): Bitmap {
  const offset = bytes.readUInt32LE(10);
  const [width, height] = [bytes.readInt32LE(18), bytes.readInt32LE(22)];
  if (bytes.readUInt16LE(28) !== 24 || height < 0) throw new Error("only 24-bit bitmaps that begin at the bottom are read");
  const stride = Math.ceil((width * 3) / 4) * 4;
  const rgb = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = offset + (height - 1 - y) * stride + x * 3;
      for (let channel = 0; channel < 3; channel++) rgb[(y * width + x) * 3 + channel] = bytes[from + 2 - channel] ?? 0;
    }
  }
  return { width, height, rgb };
}

/** The centre square as [3, size, size], each value (v - 128)/128; averaged over the pixels that fall into one. */
export function toNetworkInput({ width, height, rgb }: Bitmap, size: number): number[] {
  const side = Math.min(width, height);
  const [left, top] = [(width - side) >> 1, (height - side) >> 1];
  const values: number[] = [];
  for (let channel = 0; channel < 3; channel++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const [x0, x1] = [Math.floor((x * side) / size), Math.max(Math.floor((x * side) / size) + 1, Math.floor(((x + 1) * side) / size))];
        const [y0, y1] = [Math.floor((y * side) / size), Math.max(Math.floor((y * side) / size) + 1, Math.floor(((y + 1) * side) / size))];
        let sum = 0;
        for (let v = y0; v < y1; v++) for (let u = x0; u < x1; u++) sum += rgb[((top + v) * width + left + u) * 3 + channel] ?? 0;
        values.push((sum / ((x1 - x0) * (y1 - y0)) - 128) / 128);
      }
    }
  }
  return values;
}
