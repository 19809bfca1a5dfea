// Runs in the child only: here libvips reads strangers' bytes.

import sharp from "sharp";
import { StatusError } from "@servable/errors";
import { bitmapSize, decodeBitmap } from "./bmp.ts";
import { imageFormatOf, type ImageFormat } from "./image-format.ts";
import type { Picture } from "./picture.ts";
import { resample } from "./resample.ts";

/** How a file is decoded. */
export interface DecodeOptions {
  /** Largest width × height of a file. */
  readonly pixelsMax: number;
  /** What stands behind transparent pixels, 0 to 255; absent = their colours are taken as they are stored. */
  readonly background?: number | undefined;
  /** Larger pictures are shrunk to this longer side. */
  readonly sideMax?: number | undefined;
}

/** A decoded file. */
export interface Decoded {
  readonly picture: Picture;
  readonly format: ImageFormat;
  /** Size of the file's picture, upright. */
  readonly width: number;
  readonly height: number;
}

sharp.cache(false);
sharp.concurrency(1);
// Only what imageFormatOf names is read, whatever else the library was built with.
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({ operation: ["Jpeg", "Png", "Webp", "Nsgif", "Tiff", "Heif"].map((name) => `VipsForeignLoad${name}`) });

/**
 * Decodes the first picture of a file: upright as its EXIF orientation says, in RGB.
 * Colour profiles are ignored, since models' makers ignored them, except of CMYK, which means nothing without one.
 *
 * @throws StatusError `IMAGE_INVALID`
 */
export async function decode(bytes: Uint8Array, options: DecodeOptions): Promise<Decoded> {
  const format = imageFormatOf(bytes);
  if (format === undefined) throw new StatusError("IMAGE_INVALID", bytes.length === 0 ? "the picture is empty: send the bytes of a file" : "the picture is of no format that is read: send JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP");
  const picture = format === "bmp" ? fromBitmap(bytes, options.pixelsMax) : await fromLibrary(bytes, format, options);
  const { width, height } = picture;
  const longest = Math.max(width, height);
  if (options.sideMax === undefined || longest <= options.sideMax) return { picture, format, width, height };
  const shrunk = (side: number): number => Math.max(1, Math.round((side * (options.sideMax ?? longest)) / longest));
  return { picture: resample(picture, { left: 0, top: 0, width, height }, shrunk(width), shrunk(height), "bilinear"), format, width, height };
}

function fromBitmap(bytes: Uint8Array, pixelsMax: number): Picture {
  checkPixels(bitmapSize(bytes), pixelsMax);
  return decodeBitmap(bytes);
}

async function fromLibrary(bytes: Uint8Array, format: ImageFormat, { pixelsMax, background }: DecodeOptions): Promise<Picture> {
  try {
    const input = { failOn: "truncated", limitInputPixels: false, pages: 1 } as const;
    const { space, width, height } = await sharp(bytes, input).metadata();
    checkPixels({ width, height }, pixelsMax);
    const { data, info } = await sharp(bytes, { ...input, ignoreIcc: space !== "cmyk" })
      .autoOrient()
      .flatten(background === undefined ? false : { background: { r: background, g: background, b: background } })
      .removeAlpha()
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, rgb: info.channels === 3 ? data : spread(data, info.channels) };
  } catch (error) {
    if (error instanceof StatusError) throw error;
    const message = (error as Error).message.replaceAll(/\s+/g, " ").slice(0, 200);
    throw new StatusError("IMAGE_INVALID", `the ${format.toUpperCase()} picture cannot be decoded, it may be cut off or damaged: ${message}`, { cause: error });
  }
}

/** Greys as RGB; channels beyond the third are none of colour. */
function spread(data: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let pixel = 0; pixel < data.length / channels; pixel++) {
    for (let channel = 0; channel < 3; channel++) rgb[pixel * 3 + channel] = data[pixel * channels + (channels < 3 ? 0 : channel)] as number;
  }
  return rgb;
}

function checkPixels({ width, height }: { width: number; height: number }, pixelsMax: number): void {
  if (width * height > pixelsMax) throw new StatusError("IMAGE_INVALID", `the picture has ${width}×${height} pixels, more than ${pixelsMax} in all: send a smaller one`);
}
