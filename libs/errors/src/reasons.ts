// The one table of reasons. A reason is API: clients match on it, the documentation is generated from it, and every wire
// (gRPC status + ErrorInfo, HTTP status + JSON, exit code) is derived from its row. Add rows; never rename one.

/** Names of the gRPC status codes, as google.rpc.Code spells them. */
export type StatusCode =
  | "CANCELLED"
  | "UNKNOWN"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

interface ReasonRow {
  /** The gRPC status. */
  readonly code: StatusCode;
  /** Whether the same call may succeed later without a change. */
  readonly retry: boolean;
  /** One sentence for the reference: when it happens and what to do. */
  readonly help: string;
}

/** Reason → status, retry advice and help. */
export const REASONS = {
  // The caller.
  API_KEY_MISSING: { code: "UNAUTHENTICATED", retry: false, help: "Send a key as `authorization: Bearer …` or `x-api-key`." },
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
  INTERNAL: { code: "INTERNAL", retry: false, help: "A defect of Servable: report it with the request id; the stack is in the log." },
} as const satisfies Record<string, ReasonRow>;

/** A stable reason out of the table. */
export type Reason = keyof typeof REASONS;
