export { classify, parseLabels, type ClassificationOptions } from "./classification.ts";
export { decodeInferRequest } from "./decode-infer-request.ts";
export { encodeInferResponse, encodeStreamInferResponse } from "./encode-infer-response.ts";
export type { InferParameter, InferParameters, TypedContents, WireInferRequest, WireInferResponse, WireInput, WireOutput, WireRequestedOutput } from "./infer-messages.ts";
export { WireError, WireReader } from "./wire-reader.ts";
