// libs/errors/src/reasons.ts
var REASONS = {
  // The caller.
  API_KEY_MISSING: { code: "UNAUTHENTICATED", retry: false, help: "Send a key as `authorization: Bearer \u2026` or `x-api-key`." },
  API_KEY_INVALID: { code: "UNAUTHENTICATED", retry: false, help: "The key is unknown, revoked or expired: create another with `servable keys create`." },
  INTERNAL_TOKEN_INVALID: { code: "UNAUTHENTICATED", retry: false, help: "Internal services take calls only from this installation: call the gateway." },
  PERMISSION_DENIED: { code: "PERMISSION_DENIED", retry: false, help: "The key's role or project does not allow this call, or the resource might not exist." },
  // Arguments.
  FIELD_REQUIRED: { code: "INVALID_ARGUMENT", retry: false, help: "Set the field that the message names." },
  FIELD_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "Correct the field that the message names." },
  RESOURCE_NAME_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "Write the resource name in the form that the message gives." },
  PAGE_TOKEN_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "Use `next_page_token` of the page before with the same request." },
  MESSAGE_MALFORMED: { code: "INVALID_ARGUMENT", retry: false, help: "The bytes are no valid message of this method: check the client's contract." },
  JSON_MALFORMED: { code: "INVALID_ARGUMENT", retry: false, help: "The body is no valid JSON, or not the object that this call takes." },
  MESSAGE_TOO_LARGE: { code: "RESOURCE_EXHAUSTED", retry: false, help: "Send a smaller message, or raise the limit that the message names." },
  METHOD_UNKNOWN: { code: "UNIMPLEMENTED", retry: false, help: "This service has no such method." },
  ROUTE_UNKNOWN: { code: "NOT_FOUND", retry: false, help: "There is nothing at this HTTP path: see the README for the paths." },
  HTTP_METHOD_WRONG: { code: "UNIMPLEMENTED", retry: false, help: "Use the HTTP method that the message names." },
  UNIMPLEMENTED: { code: "UNIMPLEMENTED", retry: false, help: "This part of the protocol is not served." },
  // Resources.
  PROJECT_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "Create the project first, or correct its name." },
  API_KEY_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the keys of the project." },
  MODEL_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the models, then import or deploy the one you mean." },
  MODEL_VERSION_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the versions of the model." },
  ALIAS_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the aliases of the model." },
  ARTIFACT_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "Read the version: it lists its artifacts." },
  DEPLOYMENT_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the deployments, or deploy the model." },
  DATASET_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the data sets, or upload the one you mean." },
  TUNING_STUDY_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the tuning studies." },
  FILE_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the files of the project; an expired one is gone." },
  FINE_TUNING_JOB_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the fine-tuning jobs of the project." },
  TRAINING_JOB_NOT_FOUND: { code: "NOT_FOUND", retry: false, help: "List the training jobs." },
  ALREADY_EXISTS: { code: "ALREADY_EXISTS", retry: false, help: "Choose another id, or use the resource that is there." },
  ETAG_MISMATCH: { code: "ABORTED", retry: false, help: "The resource changed meanwhile: read it again, then write with its new etag." },
  PROMOTION_REFUSED: { code: "FAILED_PRECONDITION", retry: false, help: "A promotion gate of the model asks more of the version: the message names metric, value and bound. Promote a better version, change the gate, or force the move." },
  RESOURCE_IN_USE: { code: "FAILED_PRECONDITION", retry: false, help: "Delete or move what uses the resource first; the message names it." },
  STATE_WRONG: { code: "FAILED_PRECONDITION", retry: false, help: "The resource is not in a state that allows this; the message names both." },
  EVENTS_COMPACTED: { code: "OUT_OF_RANGE", retry: false, help: "List the resources, then watch from the newest sequence number." },
  OFFSET_OUT_OF_RANGE: { code: "OUT_OF_RANGE", retry: false, help: "Use an offset within the artifact." },
  // Model files.
  ARTIFACT_DIGEST_MISMATCH: { code: "DATA_LOSS", retry: true, help: "The bytes differ from the stated SHA-256 or size: upload again; nothing was kept." },
  ARTIFACT_CORRUPT: { code: "DATA_LOSS", retry: false, help: "The stored bytes no longer have their digest: restore the blob or upload the version again." },
  ARTIFACT_TOO_LARGE: { code: "RESOURCE_EXHAUSTED", retry: false, help: "Upload a smaller file, or raise the limit that the message names." },
  MODEL_NOT_ONNX: { code: "INVALID_ARGUMENT", retry: false, help: "The file is no ONNX model: export the model to ONNX, opset 7 or later." },
  MODEL_REFUSED: { code: "INVALID_ARGUMENT", retry: false, help: "The graph breaks a safety limit; the message names which." },
  MODEL_LOAD_FAILED: { code: "FAILED_PRECONDITION", retry: false, help: "onnxruntime cannot load the graph; the message holds its words." },
  // Inference.
  MODEL_NOT_READY: { code: "UNAVAILABLE", retry: true, help: "The model is being loaded: call again shortly." },
  INPUT_MISSING: { code: "INVALID_ARGUMENT", retry: false, help: "Send every input that the model's metadata lists." },
  INPUT_UNEXPECTED: { code: "INVALID_ARGUMENT", retry: false, help: "Send only inputs that the model's metadata lists." },
  OUTPUT_UNKNOWN: { code: "INVALID_ARGUMENT", retry: false, help: "Ask only for outputs that the model's metadata lists." },
  DATATYPE_MISMATCH: { code: "INVALID_ARGUMENT", retry: false, help: "Send the datatype that the model's metadata lists." },
  SHAPE_MISMATCH: { code: "INVALID_ARGUMENT", retry: false, help: "Send a shape that fits the model's metadata; -1 there fits any size." },
  BYTE_COUNT_MISMATCH: { code: "INVALID_ARGUMENT", retry: false, help: "Send as many bytes or values as shape and datatype ask for." },
  VALUE_OUT_OF_RANGE: { code: "INVALID_ARGUMENT", retry: false, help: "Send values that fit the datatype." },
  SEQUENCE_ID_REQUIRED: { code: "INVALID_ARGUMENT", retry: false, help: "The model works on sequences: send the parameter `sequence_id`, a number other than 0 or a text." },
  SEQUENCE_NOT_STARTED: { code: "INVALID_ARGUMENT", retry: false, help: "The sequence is unknown, ended or was idle for too long: begin it with `sequence_start`." },
  SEQUENCE_ABORTED: { code: "ABORTED", retry: false, help: "Another request of the sequence was cancelled or ran out of time, so its state is uncertain: begin it again with `sequence_start`." },
  STEP_NOT_READY: { code: "UNAVAILABLE", retry: true, help: "A model that the ensemble or graph calls is not loaded in this replica: deploy it, or call again shortly." },
  GRAPH_CASE_MISSING: { code: "INVALID_ARGUMENT", retry: false, help: "The request fits no case of a switch of the graph: send what one of its conditions asks for, or give the switch an `otherwise`." },
  INFERENCE_FAILED: { code: "INVALID_ARGUMENT", retry: false, help: "onnxruntime refused to run the graph on these inputs; the message holds its words." },
  ENGINE_CRASHED: { code: "UNAVAILABLE", retry: true, help: "The model's engine process died and is started again: call again shortly." },
  ENGINE_OUT_OF_MEMORY: { code: "RESOURCE_EXHAUSTED", retry: false, help: "The run needs more memory than SERVABLE_ENGINE_MEMORY_MAX allows: send a smaller input, or raise it." },
  ENGINE_TIMEOUT: { code: "DEADLINE_EXCEEDED", retry: false, help: "The run took longer than allowed and was stopped." },
  MODEL_CONTROL_OFF: { code: "UNAVAILABLE", retry: false, help: "Loading and unloading over the Open Inference Protocol is off: set SERVABLE_MODEL_CONTROL=explicit, or deploy the model." },
  SHARED_MEMORY_UNKNOWN: { code: "NOT_FOUND", retry: false, help: "Register the shared memory region first." },
  SHARED_MEMORY_UNUSABLE: { code: "INTERNAL", retry: false, help: "Create the shared memory object on the machine of the inference service, as large as registered, readable and writable for it." },
  REPLICA_UNAVAILABLE: { code: "UNAVAILABLE", retry: true, help: "No inference replica answers: call again shortly." },
  MODEL_TOO_LARGE: { code: "RESOURCE_EXHAUSTED", retry: false, help: "The model does not fit into the replica's memory budget: raise SERVABLE_MEMORY_BUDGET, unpin models, or use a smaller one." },
  MEMORY_BUDGET_FULL: { code: "RESOURCE_EXHAUSTED", retry: true, help: "Every model in memory is in use, pinned or was loaded a moment ago: call again shortly, raise SERVABLE_MEMORY_BUDGET, or add replicas." },
  EXPLANATION_UNSUPPORTED: { code: "FAILED_PRECONDITION", retry: false, help: "The method cannot explain this model; the message names the operator or input in the way: use another method, or auto." },
  // Ready-made tasks.
  TASK_NOT_DECLARED: { code: "FAILED_PRECONDITION", retry: false, help: "The model's servable.yaml declares another task, or the model has none: see the guide to ready-made tasks." },
  TASK_MANIFEST_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "Correct the field of servable.yaml that the message names." },
  TOKENIZER_INVALID: { code: "FAILED_PRECONDITION", retry: false, help: "The version's tokenizer.json cannot be used; the message says why." },
  CONTEXT_TOO_LONG: { code: "INVALID_ARGUMENT", retry: false, help: "The text has more tokens than the model reads: send it in parts." },
  IMAGE_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "Send a whole picture as JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP within the limits that the message names." },
  AUDIO_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "Send a whole WAV file (PCM or float) within the limits that the message names." },
  // Data sets and training.
  DATASET_MALFORMED: { code: "INVALID_ARGUMENT", retry: false, help: "Correct the line that the message names, then upload again; nothing was kept." },
  SPLIT_IMPOSSIBLE: { code: "INVALID_ARGUMENT", retry: false, help: "Choose another column or other shares: the rows cannot be divided that way." },
  COLUMN_UNSUITABLE: { code: "INVALID_ARGUMENT", retry: false, help: "Ignore the column that the message names, or correct its values." },
  DATASET_TOO_LARGE: { code: "RESOURCE_EXHAUSTED", retry: false, help: "Upload a smaller data set, or raise the limit that the message names." },
  TARGET_UNSUITABLE: { code: "INVALID_ARGUMENT", retry: false, help: "Choose a target with at least two classes." },
  TRAINING_DIVERGED: { code: "ABORTED", retry: false, help: "The loss became infinite or not a number: lower the learning rate." },
  WEIGHTS_MALFORMED: { code: "INVALID_ARGUMENT", retry: false, help: "The file is no valid safetensors file: the message says where; write it again." },
  NETWORK_INVALID: { code: "INVALID_ARGUMENT", retry: false, help: "The network cannot be trained as it is written: the message names the value or the size." },
  CHECKPOINT_INCOMPATIBLE: { code: "FAILED_PRECONDITION", retry: false, help: "The checkpoint is of another network or optimizer: the message names the tensor or the setting." },
  STUDY_FAILED: { code: "ABORTED", retry: false, help: "A tuning study ended without a result: the message says why; `servable studies show` lists its trials." },
  TRAINING_PROCESS_DIED: { code: "ABORTED", retry: true, help: "The job's process died more often than allowed: see the service's log." },
  // The platform.
  DEADLINE_EXCEEDED: { code: "DEADLINE_EXCEEDED", retry: true, help: "The call took longer than the caller allowed: allow more time." },
  CANCELLED: { code: "CANCELLED", retry: false, help: "The caller ended the call." },
  TRAINING_MEMORY_EXCEEDED: { code: "ABORTED", retry: false, help: "The job's process took more memory than allowed: make the job smaller, or raise `limits.memory_bytes`." },
  TRAINING_TIME_EXCEEDED: { code: "ABORTED", retry: false, help: "The job ran longer, or cost more, than allowed: raise the limit that the message names, or make the job smaller." },
  TRAINING_NOT_REPRODUCED: { code: "ABORTED", retry: false, help: "The repetition of a run gave other weights: the message names what was different." },
  ATTEMPT_STALE: { code: "ABORTED", retry: false, help: "Another attempt of the job has begun: what this one says is dropped." },
  QUOTA_EXCEEDED: { code: "RESOURCE_EXHAUSTED", retry: true, help: "The project has as much as it may have at once: the message names the bound." },
  QUEUE_FULL: { code: "RESOURCE_EXHAUSTED", retry: true, help: "A queue with a bound is full: call again later; the message names the bound." },
  REQUEST_TIMEOUT: { code: "UNAVAILABLE", retry: true, help: "The request waited in the queue for longer than it or its model allows: call again, or raise the time-out." },
  SERVICE_UNAVAILABLE: { code: "UNAVAILABLE", retry: true, help: "A service that this call needs does not answer: call again shortly." },
  DATABASE_UNAVAILABLE: { code: "UNAVAILABLE", retry: true, help: "The database cannot be reached: call again shortly." },
  DISK_FULL: { code: "RESOURCE_EXHAUSTED", retry: true, help: "Free space in the data directory, then call again; nothing was kept." },
  SHUTTING_DOWN: { code: "UNAVAILABLE", retry: true, help: "The service is stopping: call again shortly." },
  PORT_IN_USE: { code: "FAILED_PRECONDITION", retry: false, help: "Another process listens there: stop it, or choose another port by the variable that the message names." },
  CONFIG_INVALID: { code: "FAILED_PRECONDITION", retry: false, help: "Correct the environment variable that the message names." },
  DATA_DIR_NEWER: { code: "FAILED_PRECONDITION", retry: false, help: "The data was written by a newer Servable: run that version, or another data directory." },
  DATA_DIR_UNUSABLE: { code: "FAILED_PRECONDITION", retry: false, help: "Make the data directory writable, or choose another by SERVABLE_DATA_DIR." },
  DATA_DIR_IN_USE: { code: "FAILED_PRECONDITION", retry: false, help: "Another platform runs on this data directory: stop it, or choose another by SERVABLE_DATA_DIR." },
  INTERNAL: { code: "INTERNAL", retry: false, help: "A defect of Servable: report it with the request id; the stack is in the log." }
};

// libs/errors/src/status-error.ts
var MESSAGE_CHARACTERS_MAX = 4e3;
var StatusError = class _StatusError extends Error {
  name = "StatusError";
  reason;
  code;
  metadata;
  constructor(reason, message, options = {}) {
    super(shortened(message, MESSAGE_CHARACTERS_MAX), options.cause === void 0 ? void 0 : { cause: options.cause });
    this.reason = reason;
    this.code = options.code ?? REASONS[reason].code;
    this.metadata = options.metadata ?? {};
  }
  /** Whether the same call may succeed later without a change. */
  get retryable() {
    return REASONS[this.reason].retry;
  }
  /**
   * Any thrown thing as a StatusError: a StatusError stays itself, an abort becomes CANCELLED, a timeout
   * DEADLINE_EXCEEDED, a full disk DISK_FULL; everything else is INTERNAL with a message that reveals nothing and the
   * original as `cause`.
   */
  static from(error) {
    if (error instanceof _StatusError) return error;
    if (error instanceof Error) {
      if (error.name === "AbortError") return new _StatusError("CANCELLED", "the call was cancelled", { cause: error });
      if (error.name === "TimeoutError") {
        return new _StatusError("DEADLINE_EXCEEDED", "the call took longer than its deadline allows", { cause: error });
      }
      const errno = error.code;
      if (errno === "ENOSPC" || errno === "EDQUOT") {
        return new _StatusError("DISK_FULL", "the disk is full: free space in the data directory, then try again", { cause: error });
      }
    }
    return new _StatusError("INTERNAL", "internal error: report it with the request id; details are in the service's log", {
      cause: error
    });
  }
};
function shortened(text, charactersMax) {
  if (text.length <= charactersMax) return text;
  const head = Math.ceil(charactersMax * 0.6);
  return `${text.slice(0, head)} \u2026 ${text.slice(text.length - (charactersMax - head - 3))}`.toWellFormed();
}

// libs/runtime/src/engine-worker.ts
import ort2 from "onnxruntime-node";

// libs/runtime/src/blocking-frames.ts
import { readSync, writevSync } from "node:fs";

// libs/runtime/src/frame.ts
var PREFIX_BYTES = 4;
var FIXED_BYTES = 8;
var FRAME_BYTES_MAX = 2 ** 31 - 1;
var ALIGNMENT = 8;
var ZEROS = new Uint8Array(ALIGNMENT);
function encodeFrame(id, header, tensors = []) {
  const text = JSON.stringify(header);
  const headerBytes = aligned(Buffer.byteLength(text));
  const head = Buffer.allocUnsafe(PREFIX_BYTES + FIXED_BYTES + headerBytes);
  head.fill(32, PREFIX_BYTES + FIXED_BYTES + headerBytes - ALIGNMENT);
  head.write(text, PREFIX_BYTES + FIXED_BYTES);
  const parts = [head];
  let payloadBytes = 0;
  for (const tensor of tensors) {
    const bytes = byteLengthOf(tensor);
    if (tensor instanceof Uint8Array) parts.push(tensor);
    else parts.push(...tensor);
    const padding = aligned(bytes) - bytes;
    if (padding > 0) parts.push(ZEROS.subarray(0, padding));
    payloadBytes += bytes + padding;
  }
  head.writeUInt32LE(FIXED_BYTES + headerBytes + payloadBytes, 0);
  head.writeUInt32LE(id, 4);
  head.writeUInt32LE(headerBytes, 8);
  return parts;
}
function byteLengthOf(data) {
  if (data instanceof Uint8Array) return data.length;
  let sum = 0;
  for (const part of data) sum += part.length;
  return sum;
}
function decodeFrame(body) {
  const headerBytes = body.readUInt32LE(4);
  return {
    id: body.readUInt32LE(0),
    header: JSON.parse(body.toString("utf8", FIXED_BYTES, FIXED_BYTES + headerBytes)),
    payload: body.subarray(FIXED_BYTES + headerBytes)
  };
}
function tensorsOf(headers, payload) {
  let offset = 0;
  return headers.map(({ name, datatype, shape, bytes }) => {
    const data = payload.subarray(offset, offset + bytes);
    offset += aligned(bytes);
    return { name, datatype, shape, data };
  });
}
function aligned(bytes) {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

// libs/runtime/src/blocking-frames.ts
var KEPT_BYTES_MAX = 16 * 1024 ** 2;
var FIRST_BYTES = 64 * 1024;
var BlockingFrames = class {
  #fd;
  /** The frame being read starts here, its length prefix in the four bytes before a multiple of 8. */
  #buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #start = ALIGNED_START;
  #end = ALIGNED_START;
  constructor(fd) {
    this.#fd = fd;
  }
  /** The next frame, or undefined when the other side has ended. Its bytes are valid until the next call. */
  read() {
    if (!this.#fill(PREFIX_BYTES)) return void 0;
    const size = this.#buffer.readUInt32LE(this.#start);
    if (size < FIXED_BYTES || size > FRAME_BYTES_MAX) throw new RangeError(`a frame of ${size} bytes`);
    this.#makeRoom(PREFIX_BYTES + size);
    if (!this.#fill(PREFIX_BYTES + size)) return void 0;
    const body = this.#buffer.subarray(this.#start + PREFIX_BYTES, this.#start + PREFIX_BYTES + size);
    this.#start += PREFIX_BYTES + size;
    return decodeFrame(body);
  }
  /** Writes the buffers of a frame. */
  write(parts) {
    let rest = [...parts];
    while (rest.length > 0) {
      let written = writevSync(this.#fd, rest.slice(0, VECTORS_MAX));
      const after = [];
      for (const part of rest) {
        if (written >= part.length) written -= part.length;
        else {
          after.push(written > 0 ? part.subarray(written) : part);
          written = 0;
        }
      }
      rest = after;
    }
  }
  /** Reads until that many bytes of the frame are there. */
  #fill(bytes) {
    while (this.#end - this.#start < bytes) {
      if (this.#end === this.#buffer.length) this.#makeRoom(bytes);
      const got = readSync(this.#fd, this.#buffer, this.#end, this.#buffer.length - this.#end, null);
      if (got === 0) return false;
      this.#end += got;
    }
    return true;
  }
  /** Moves the frame that has begun to the front of a buffer that holds it, so that its body is aligned. */
  #makeRoom(bytes) {
    const isKept = this.#buffer.length <= KEPT_BYTES_MAX;
    const fits = this.#start + bytes <= this.#buffer.length && this.#start % 8 === ALIGNED_START;
    if (fits && isKept) return;
    const needed = ALIGNED_START + bytes;
    const begun = this.#buffer.subarray(this.#start, this.#end);
    const size = Math.max(FIRST_BYTES, needed, Math.min(KEPT_BYTES_MAX, needed * 2), ALIGNED_START + begun.length);
    const target = this.#buffer.length >= needed && isKept ? this.#buffer : Buffer.allocUnsafeSlow(size);
    target.set(begun, ALIGNED_START);
    this.#buffer = target;
    this.#start = ALIGNED_START;
    this.#end = ALIGNED_START + begun.length;
  }
};
var ALIGNED_START = 8 - PREFIX_BYTES;
var VECTORS_MAX = 1024;

// libs/runtime/src/ort-tensor.ts
import { isUtf8 } from "node:buffer";

// libs/tensor/src/bytes-codec.ts
function encodeBytesElements(elements) {
  const out = new Uint8Array(elements.reduce((sum, element) => sum + 4 + element.length, 0));
  const view = new DataView(out.buffer);
  let offset = 0;
  for (const element of elements) {
    view.setUint32(offset, element.length, true);
    out.set(element, offset + 4);
    offset += 4 + element.length;
  }
  return out;
}
function decodeBytesElements(raw, count, name = "tensor") {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const elements = [];
  let offset = 0;
  while (offset < raw.length) {
    const end = offset + 4 <= raw.length ? offset + 4 + view.getUint32(offset, true) : Infinity;
    if (end > raw.length || elements.length === count) break;
    elements.push(raw.subarray(offset + 4, end));
    offset = end;
  }
  if (elements.length !== count || offset !== raw.length) {
    throw new StatusError("BYTE_COUNT_MISMATCH", `${name}: ${raw.length} bytes do not hold ${count} BYTES elements, each a 4-byte length and its bytes`);
  }
  return elements;
}

// libs/tensor/src/shape.ts
var ELEMENTS_MAX = 2 ** 31 - 1;
function elementCount(shape, name = "tensor") {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new StatusError("SHAPE_MISMATCH", `${name}: dimension ${dimension} of [${shape.join(",")}] is not a whole number from 0 on`);
    }
    count *= dimension;
    if (count > ELEMENTS_MAX) throw new StatusError("SHAPE_MISMATCH", `${name}: shape [${shape.join(",")}] causes total element count to exceed maximum size of ${ELEMENTS_MAX}`);
  }
  return count;
}

// libs/tensor/src/tensor.ts
var TYPED = {
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Float16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  BOOL: Uint8Array,
  BF16: Uint16Array
};
function typedArrayOf(tensor) {
  if (tensor.datatype === "BYTES") throw new TypeError("BYTES has no typed array");
  const Type = TYPED[tensor.datatype];
  const { data } = tensor;
  const bytes = data.byteOffset % Type.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  return new Type(bytes.buffer, bytes.byteOffset, bytes.byteLength / Type.BYTES_PER_ELEMENT);
}
var INTEGER_RANGE = {
  UINT8: [0n, 255n],
  UINT16: [0n, 65535n],
  UINT32: [0n, 2n ** 32n - 1n],
  UINT64: [0n, 2n ** 64n - 1n],
  INT8: [-128n, 127n],
  INT16: [-32768n, 32767n],
  INT32: [-(2n ** 31n), 2n ** 31n - 1n],
  INT64: [-(2n ** 63n), 2n ** 63n - 1n]
};

// libs/runtime/src/ort-tensor.ts
import ort from "onnxruntime-node";
var ORT_TYPES = {
  BOOL: "bool",
  UINT8: "uint8",
  UINT16: "uint16",
  UINT32: "uint32",
  UINT64: "uint64",
  INT8: "int8",
  INT16: "int16",
  INT32: "int32",
  INT64: "int64",
  FP16: "float16",
  FP32: "float32",
  FP64: "float64",
  BYTES: "string"
};
var DATATYPES2 = new Map(Object.entries(ORT_TYPES).map(([datatype, type]) => [type, datatype]));
function toOrt({ name, datatype, shape, data }) {
  const type = ORT_TYPES[datatype];
  if (type === void 0) throw new StatusError("DATATYPE_MISMATCH", `input "${name}": onnxruntime's Node build takes no ${datatype}; cast to FP32 in the graph`);
  if (type === "string") return new ort.Tensor("string", decodeBytesElements(data, elementCount(shape), name).map(textOf), shape);
  if (type === "float16") {
    const array = typedArrayOf({ datatype, shape, data });
    const bits = new Uint16Array(array.buffer, array.byteOffset, array.length);
    const tensor = new ort.Tensor("float16", bits, shape);
    tensor.cpuData = bits;
    return tensor;
  }
  return new ort.Tensor(type, typedArrayOf({ datatype, shape, data }), shape);
}
function fromOrt(name, tensor) {
  const datatype = DATATYPES2.get(tensor.type);
  if (datatype === void 0) throw new StatusError("INFERENCE_FAILED", `output "${name}" has the type ${tensor.type}, which cannot be sent`);
  const shape = [...tensor.dims];
  if (tensor.type === "string") return { name, datatype, shape, data: encodeBytesElements(tensor.data.map(bytesOf)) };
  const { buffer, byteOffset, byteLength } = tensor.data;
  return { name, datatype, shape, data: new Uint8Array(buffer, byteOffset, byteLength) };
}
var ESCAPE = 1113856;
function textOf(bytes) {
  if (isUtf8(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8").replaceAll("\0", String.fromCodePoint(ESCAPE));
  return Array.from(bytes, (byte) => String.fromCodePoint(byte > 0 && byte < 128 ? byte : ESCAPE + byte)).join("");
}
function bytesOf(text) {
  if (!/[\u{10ff00}-\u{10ffff}]/u.test(text)) return Buffer.from(text, "utf8");
  return Buffer.concat(
    Array.from(text, (character) => {
      const code = character.codePointAt(0) ?? 0;
      return code >= ESCAPE ? Buffer.from([code - ESCAPE]) : Buffer.from(character, "utf8");
    })
  );
}

// libs/runtime/src/engine-worker.ts
var frames = new BlockingFrames(3);
var session;
var settings;
try {
  for (let frame = frames.read(); frame !== void 0; frame = frames.read()) await answer(frame);
} catch (error) {
  if (!isPipeError(error)) throw error;
}
async function answer({ id, header, payload }) {
  const request = header;
  try {
    if (request.op === "load") {
      settings = request.session;
      session = await load(settings);
      write(id, { ok: true });
    } else {
      await run(id, request, payload);
    }
  } catch (error) {
    if (isPipeError(error)) throw error;
    const { reason, message } = error instanceof StatusError ? error : new StatusError("INTERNAL", error instanceof Error ? error.message : String(error));
    write(id, { ok: false, reason, message });
    if (reason === "ENGINE_OUT_OF_MEMORY") await loadAgain();
  }
}
async function loadAgain() {
  if (settings === void 0) return;
  await session?.release();
  session = await load(settings);
}
async function load({ path, intraOpThreads, interOpThreads, executionProviders, graphOptimizationLevel, prepacking, memoryArena }) {
  const built = new Set(ort2.listSupportedBackends().map(({ name }) => name));
  const missing = executionProviders.find((provider) => !built.has(provider));
  if (missing !== void 0) throw new StatusError("MODEL_LOAD_FAILED", `failed to load: this build of onnxruntime has no execution provider "${missing}", only ${[...built].join(", ")}`);
  try {
    return await ort2.InferenceSession.create(path, {
      executionProviders: [...executionProviders],
      intraOpNumThreads: intraOpThreads,
      interOpNumThreads: interOpThreads,
      executionMode: interOpThreads > 1 ? "parallel" : "sequential",
      graphOptimizationLevel,
      enableCpuMemArena: memoryArena,
      logSeverityLevel: 3,
      extra: {
        session: {
          // Threads that spin between runs take the cores from the service that feeds them.
          intra_op: { allow_spinning: "0" },
          disable_prepacking: prepacking ? "0" : "1"
        }
      }
    });
  } catch (error) {
    throw new StatusError("MODEL_LOAD_FAILED", `failed to load: ${error.message.replaceAll(path, "the model").slice(0, 500)}`);
  }
}
async function run(id, { inputs, outputs: wanted, deadlineMs }, payload) {
  const loaded = session;
  if (loaded === void 0) throw new StatusError("MODEL_NOT_READY", "the engine has no model yet");
  if (deadlineMs !== void 0 && Date.now() > deadlineMs) throw new StatusError("DEADLINE_EXCEEDED", "the deadline passed while the request waited for the engine");
  const started = performance.now();
  const feeds = {};
  for (const tensor of tensorsOf(inputs, payload)) feeds[tensor.name] = toOrt(tensor);
  const fed = performance.now();
  const results = await infer(loaded, feeds, wanted);
  const inferred = performance.now();
  const outputs = (wanted.length > 0 ? wanted : loaded.outputNames).map((name) => fromOrt(name, results[name]));
  const headers = outputs.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, bytes: data.length }));
  const { outputBytesMax } = settings;
  const outputBytes = headers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (outputBytes > outputBytesMax) throw new StatusError("ENGINE_OUT_OF_MEMORY", `the outputs have ${outputBytes} bytes, at most ${outputBytesMax} are taken from one run: ask for fewer outputs or send a smaller input`);
  const done = performance.now();
  write(id, { ok: true, outputs: headers, ns: [nanoseconds(fed - started), nanoseconds(inferred - fed), nanoseconds(done - inferred)] }, outputs.map(({ data }) => data));
}
async function infer(loaded, feeds, outputs) {
  try {
    return outputs.length === 0 ? await loaded.run(feeds) : await loaded.run(feeds, [...outputs]);
  } catch (error) {
    const message = error.message.slice(0, 500);
    if (/Failed to allocate memory|bad_alloc/.test(message)) throw new StatusError("ENGINE_OUT_OF_MEMORY", `the run needs more memory than an engine may have: send a smaller input (onnxruntime: ${message})`);
    throw new StatusError("INFERENCE_FAILED", `onnxruntime: ${message}`);
  }
}
function write(id, response, payload = []) {
  frames.write(encodeFrame(id, response, payload));
}
function isPipeError(error) {
  return ["EPIPE", "ECONNRESET"].includes(error.code ?? "");
}
function nanoseconds(ms) {
  return Math.round(ms * 1e6);
}
