export { classify, parseLabels, type ClassificationOptions } from "./classification.ts";
