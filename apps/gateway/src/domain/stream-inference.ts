// One ModelStreamInfer call may speak of several models, and these may live in different replicas. So the stream is taken
// apart: one stream onward for each replica that its messages need, opened by the first such message; the answers come
// back through one queue. Messages to one model stay with one replica and keep their order.

import { StatusError } from "@servable/errors";
import { withSignal, type Caller } from "./caller.ts";
import { isUnanswered, publicError, sequenceKey, type InferenceDeps } from "./inference.ts";
import { createMessageQueue, type MessageQueue } from "./message-queue.ts";
import { isStreamError, peekInfer, type InferReference } from "./model-reference.ts";

/** Answers and requests that may wait in one direction of one stream. */
const QUEUED_MAX = 16;
/** Models that one stream may name. */
const MODELS_MAX = 1_000;

/** The encoded response that carries the error of one request; without such a form an error ends the stream. */
export type StreamErrorEncoder = (error: StatusError, reference: InferReference) => Uint8Array;

/** Runs a stream of encoded ModelInferRequests; answers encoded ModelStreamInferResponses. Recorded once, as one call. */
export async function* streamInfer(deps: InferenceDeps, requests: AsyncIterable<Uint8Array>, caller: Caller, encode?: StreamErrorEncoder): AsyncGenerator<Uint8Array> {
  const answers = createMessageQueue<Uint8Array>(QUEUED_MAX);
  const onward = createOnwardStreams(deps, answers, caller);
  const meter = deps.usage.begin("ModelStreamInfer", caller);
  let reference: InferReference | undefined;
  let answerCount = 0;

  const upload = async (): Promise<void> => {
    try {
      for await (const request of requests) {
        const each = peekInfer(request);
        reference ??= each;
        meter.addBytes(request.length);
        try {
          await (await onward.queueFor(each)).push(request);
        } catch (error) {
          if (encode === undefined || caller.signal.aborted) throw error;
          await answers.push(encode(StatusError.from(error), each));
        }
      }
      await onward.finish();
      answers.end();
    } catch (error) {
      answers.fail(error);
    }
  };

  let failure: unknown = new DOMException("the caller left the stream", "AbortError");
  try {
    void upload();
    for await (const answer of answers) {
      meter.addBytes(answer.length);
      if (!isStreamError(answer)) answerCount += 1;
      yield answer;
    }
    failure = undefined;
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    onward.abort(failure);
    meter.setUnits(answerCount);
    meter.end(reference ?? { model: "", version: "" }, failure);
  }
}

interface OnwardStreams {
  /** Where requests to a model go. */
  queueFor(reference: InferReference): Promise<MessageQueue<Uint8Array>>;
  /** Half-closes all streams and waits for their answers. */
  finish(): Promise<void>;
  abort(reason: unknown): void;
}

function createOnwardStreams({ router, balancer, replicas }: InferenceDeps, answers: MessageQueue<Uint8Array>, caller: Caller): OnwardStreams {
  const byAddress = new Map<string, MessageQueue<Uint8Array>>();
  const addressOf = new Map<string, string>();
  const running: Promise<void>[] = [];
  const stop = new AbortController();
  const { project } = caller.identity;
  const inner: Caller = withSignal(caller, AbortSignal.any([caller.signal, stop.signal]));

  const assign = async (reference: InferReference): Promise<string> => {
    const key = `${reference.model}\0${reference.version}`;
    const sequence = sequenceKey(reference, caller);
    const known = sequence === undefined ? addressOf.get(key) : undefined;
    // One that has let the model go would refuse: its requests move on, at the price of the order between old and new.
    if (known !== undefined && router.peek(project, reference)?.addresses.includes(known) !== false) return known;
    if (known === undefined && addressOf.size >= MODELS_MAX) throw new StatusError("FIELD_INVALID", `one stream may name at most ${MODELS_MAX} models: open another stream`);
    const { addresses } = await router.find(project, reference, inner.signal);
    const address = sequence === undefined ? balancer.choose(addresses) : balancer.chooseByKey(addresses, sequence);
    if (address === undefined) throw new StatusError("REPLICA_UNAVAILABLE", "no inference replica answers: call again shortly");
    if (sequence === undefined) addressOf.set(key, address);
    return address;
  };

  const run = async (address: string, queue: MessageQueue<Uint8Array>): Promise<void> => {
    const end = balancer.begin(address);
    try {
      for await (const answer of replicas.stream(address, "ModelStreamInfer", queue, inner)) await answers.push(answer);
    } catch (error) {
      if (isUnanswered(error)) balancer.penalize(address);
      answers.fail(publicError(error));
    } finally {
      queue.end();
      end();
    }
  };

  return {
    async queueFor(reference) {
      const address = await assign(reference);
      let queue = byAddress.get(address);
      if (queue === undefined) {
        queue = createMessageQueue<Uint8Array>(QUEUED_MAX);
        byAddress.set(address, queue);
        running.push(run(address, queue));
      }
      return queue;
    },
    async finish() {
      for (const queue of byAddress.values()) queue.end();
      await Promise.all(running);
    },
    abort(reason) {
      stop.abort(reason);
      for (const queue of byAddress.values()) queue.end();
    },
  };
}
