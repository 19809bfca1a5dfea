// Task manifests of trained models. YAML takes JSON as it is, which spares us its rules of quoting.

const encoder = new TextEncoder();

/** A servable.yaml for a model of raw pictures with the output "probabilities". */
export function imageManifest(classes: readonly string[], channels: number): Uint8Array {
  return manifest([
    "task: image-classification",
    `image: ${JSON.stringify({ layout: "nhwc", fit: "stretch", colors: channels === 1 ? "gray" : "rgb" })}`,
    `classification: ${JSON.stringify({ output: "probabilities", scores: "probabilities", labels: classes })}`,
  ]);
}

/** A servable.yaml for a model of tokens with the output "logits"; labels and tokenizer stand in files beside it. */
export function textManifest({ tokensMax, ids, mask, types }: { readonly tokensMax: number; readonly ids: string; readonly mask: string; readonly types: string }): Uint8Array {
  return manifest([
    "task: text-classification",
    `tokenizer: ${JSON.stringify({ file: "tokenizer.json", max_tokens: tokensMax, inputs: { ids, mask, types } })}`,
    `classification: ${JSON.stringify({ output: "logits", scores: "logits", labels: { file: "labels.json", key: "labels" } })}`,
  ]);
}

const manifest = (lines: readonly string[]): Uint8Array => encoder.encode(["servable: 1", ...lines, ""].join("\n"));
