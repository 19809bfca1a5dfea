export { createImageDecoder, type CutLine, type DecodedPicture, type ImageDecoder, type ImageDecoderOptions, type ImageTensor, type LineSpec } from "./image-decoder.ts";
export { imageFormatOf, type ImageFormat } from "./image-format.ts";
export { type ImageSpec } from "./image-spec.ts";
export { type Picture } from "./picture.ts";
export { type Point, type Quad } from "./warp.ts";
