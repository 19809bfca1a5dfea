export { resampled, type Samples } from "./audio/resampler.ts";
export { openWav, type WavAudio } from "./audio/wav.ts";
export { classOutputs } from "./classes.ts";
export { PIXEL_MAX, imageInput } from "./image.ts";
export { type ClassificationSection, type EmbeddingSection, type ImageSection, type Labels, type TokenizerSection } from "./manifest/model-sections.ts";
export { type LineSection, type OrientationSection, type PageSection, type SpeechSection } from "./manifest/recognition-sections.ts";
export { MANIFEST_FILE, TASKS, filesOf, modelsOf, readTaskManifest, type Task, type TaskManifest } from "./manifest/task-manifest.ts";
export { CATEGORIES_MAX, byFrequency, encodeCell, fitColumn, tableInputs, widthOf, type ColumnUse, type FittedColumn } from "./table.ts";
export { type CategoricalData, type ColumnData, type DatetimeData, type NumericData, type TextData } from "./table/column-data.ts";
