import { fromBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { StatusError } from "@servable/errors";

/** A message that a caller sent. @throws StatusError `MESSAGE_MALFORMED` */
export function decodeMessage<D extends DescMessage>(schema: D, bytes: Uint8Array): MessageShape<D> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new StatusError("MESSAGE_MALFORMED", `the request is no valid ${schema.typeName}: check the client's contract`, { cause: error });
  }
}
