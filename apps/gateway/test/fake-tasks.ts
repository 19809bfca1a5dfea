import { TasksService } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import { implement, type CallContext, type ServiceRegistration } from "@servable/grpc";

/** Tokens that the fake model reads. */
export const TOKENS_MAX = 4;

/** Tasks whose answers tell what arrived. */
export function fakeTasks(note: (context: CallContext, model: string) => void): ServiceRegistration {
  const pictureSize = (image: Uint8Array): void => {
    if (image.length === 0) throw new StatusError("FIELD_REQUIRED", "image is empty: send the bytes of a file", { metadata: { field: "image" } });
  };
  return implement(TasksService, {
    classifyImage({ model, modelVersion, image, topK }, context) {
      note(context, model);
      pictureSize(image);
      return { model, modelVersion: modelVersion || "1", labels: [{ label: `${image.length} bytes`, probability: 0.1, index: topK }] };
    },
    classifyText({ model, texts, topK }, context) {
      note(context, model);
      return { model, modelVersion: "1", results: texts.map((text) => ({ labels: [{ label: text, probability: 1, index: topK }], tokenCount: 2, truncated: false })) };
    },
    embedText({ model, texts, tokenIds, dimensionCount }, context) {
      note(context, model);
      if (dimensionCount > 3) throw new StatusError("FIELD_INVALID", `dimension_count is ${dimensionCount}: the model gives 3`, { metadata: { field: "dimension_count" } });
      const counts = tokenIds.length > 0 ? tokenIds.map(({ ids }) => ids.length) : texts.map((text) => text.split(" ").length);
      return { model, modelVersion: "1", embeddings: counts.map((count) => ({ values: [count, 0.1, -1].slice(0, dimensionCount || 3), tokenCount: Math.min(count, TOKENS_MAX), truncated: count > TOKENS_MAX })) };
    },
    detectSpeech({ model, audio, threshold }, context) {
      note(context, model);
      return { model, modelVersion: "1", segments: [{ startMs: 0n, endMs: BigInt(audio.length), probability: threshold ?? 0 }], audioMs: 9n, speechMs: 1n };
    },
    readText({ model, image }, context) {
      note(context, model);
      return { model, modelVersion: "1", text: `${image.length}`, lines: [{ text: "a", probability: 0.5, corners: [{ x: 1, y: 2 }] }] };
    },
  });
}
