/** How a picture becomes the input of a model. */
export interface ImageSpec {
  readonly width: number;
  readonly height: number;
  /**
   * How the picture's shape becomes the model's. `crop`: the largest centred part of the right shape; with `shortSide` the
   * picture is first shrunk or enlarged to that shorter side and a centred part is cut out of it. `stretch`: both sides
   * alone. `letterbox`: all of it, centred, the rest filled with `fill`.
   */
  readonly fit: "crop" | "stretch" | "letterbox";
  readonly shortSide?: number | undefined;
  /** 0 to 255; the colour around a letterboxed picture. */
  readonly fill: number;
  readonly resample: Filter;
  readonly colors: "rgb" | "bgr" | "gray";
  readonly layout: "nchw" | "nhwc";
  readonly datatype: "FP32" | "FP16" | "UINT8";
  /** A value is (pixel · scale − mean) / std; a single number holds for all channels. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** What stands behind transparent pixels, 0 to 255; absent = their colours are taken as they are stored, as Pillow does. */
  readonly background?: number | undefined;
}

/** Pillow's filters, antialiased when shrinking, except `nearest`. */
export type Filter = "nearest" | "bilinear" | "bicubic" | "lanczos";

/** A part of a picture. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What to cut, how large to make it, and where to put it. */
export interface ResizePlan {
  /** The part of the picture that is resized. */
  readonly source: Box;
  readonly width: number;
  readonly height: number;
  /** Where the resized part lies in the result; negative = cut off. */
  readonly left: number;
  readonly top: number;
}

/** The plan for a picture of a size. Rounds as Pillow and torchvision do. */
export function planResize({ width, height }: { width: number; height: number }, spec: Pick<ImageSpec, "width" | "height" | "fit" | "shortSide">): ResizePlan {
  const all: Box = { left: 0, top: 0, width, height };
  if (spec.fit === "stretch") return { source: all, width: spec.width, height: spec.height, left: 0, top: 0 };
  if (spec.fit === "letterbox") {
    const ratio = Math.min(spec.width / width, spec.height / height);
    const inner = { width: Math.max(1, Math.round(width * ratio)), height: Math.max(1, Math.round(height * ratio)) };
    return { source: all, ...inner, left: (spec.width - inner.width) >> 1, top: (spec.height - inner.height) >> 1 };
  }
  if (spec.shortSide !== undefined) {
    const short = Math.min(width, height);
    const scaled = (side: number): number => (side === short ? (spec.shortSide ?? 0) : Math.floor(((spec.shortSide ?? 0) * side) / short));
    const inner = { width: scaled(width), height: scaled(height) };
    return { source: all, ...inner, left: -roundHalfEven((inner.width - spec.width) / 2), top: -roundHalfEven((inner.height - spec.height) / 2) };
  }
  const wide = width * spec.height > height * spec.width;
  const box = wide ? { width: Math.max(1, Math.round((height * spec.width) / spec.height)), height } : { width, height: Math.max(1, Math.round((width * spec.height) / spec.width)) };
  return { source: { left: (width - box.width) >> 1, top: (height - box.height) >> 1, ...box }, width: spec.width, height: spec.height, left: 0, top: 0 };
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor & 1) : Math.round(value);
}
