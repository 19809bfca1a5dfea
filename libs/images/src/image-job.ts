import type { DecodeOptions } from "./decode.ts";
import type { ImageFormat } from "./image-format.ts";
import type { ImageSpec } from "./image-spec.ts";
import type { Picture } from "./picture.ts";
import type { Quad } from "./warp.ts";

/** How lines of text become the input of a recogniser: scaled to a height, as wide as that makes them. */
export interface LineSpec extends Pick<ImageSpec, "colors" | "layout" | "datatype" | "scale" | "mean" | "std" | "resample"> {
  readonly height: number;
  /** Fixed width, filled up with zeros; absent = each line its own. */
  readonly width?: number | undefined;
  readonly widthMax: number;
}

/** What the child is asked. */
export type ImageJob =
  | { readonly op: "tensor"; readonly source: Uint8Array | Picture; readonly decode: DecodeOptions; readonly spec: ImageSpec }
  | { readonly op: "picture"; readonly source: Uint8Array; readonly decode: DecodeOptions }
  | { readonly op: "lines"; readonly picture: Picture; readonly quads: readonly Quad[]; readonly spec: LineSpec };

/** A tensor of one picture, without a batch dimension. */
export interface ImageTensor {
  readonly datatype: ImageSpec["datatype"];
  readonly shape: readonly number[];
  readonly data: Uint8Array;
  /** Of the picture that was sent, upright. */
  readonly width: number;
  readonly height: number;
}

/** A picture as pixels. */
export interface DecodedPicture {
  readonly picture: Picture;
  readonly format: ImageFormat;
  /** Of the file; the picture itself may have been shrunk. */
  readonly width: number;
  readonly height: number;
}

/** One line as a tensor: [channels, height, width] or [height, width, channels]. */
export interface CutLine {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What it answers. */
export type ImageAnswer = ImageTensor | DecodedPicture | readonly CutLine[];

/** Messages between the two. */
export type ImageRequestMessage = { readonly id: number; readonly job: ImageJob };
export type ImageResponseMessage = { readonly ready: true } | { readonly id: number; readonly answer: ImageAnswer } | { readonly id: number; readonly reason: string; readonly message: string };
