/** Decoded pixels: red, green, blue of each pixel, row after row from the top. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** [height, width, 3], 0 to 255. */
  readonly rgb: Uint8Array;
}
