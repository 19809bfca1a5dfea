export { decodeBytesElements, encodeBytesElements } from "./bytes-codec.ts";
export { contentsFieldOf, type ContentsField } from "./contents-field.ts";
export { DATATYPES, elementBytes, isDatatype, isFloat, type Datatype } from "./datatype.ts";
export { NESTING_DEPTH_MAX, flatten, nest } from "./nesting.ts";
export { splitAxis } from "./split-axis.ts";
export { ELEMENTS_MAX, elementCount, fitsShape } from "./shape.ts";
export { checkByteCount, elementsOf, tensorOf, typedArrayOf, type ElementValue, type Tensor } from "./tensor.ts";
