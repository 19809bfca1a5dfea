export { classOutputs } from "./classes.ts";
export { PIXEL_MAX, imageInput } from "./image.ts";
export { CATEGORIES_MAX, byFrequency, encodeCell, fitColumn, tableInputs, widthOf, type ColumnUse, type FittedColumn } from "./table.ts";
