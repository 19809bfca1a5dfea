import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";

/** What stands around another executor: all that is asked of it, besides answering, is asked of the one inside. */
export abstract class WrappedExecutor implements Executor {
  protected readonly inner: Executor;

  constructor(inner: Executor) {
    this.inner = inner;
  }

  get pids(): readonly number[] {
    return this.inner.pids;
  }

  get restartCount(): number {
    return this.inner.restartCount;
  }

  get queueLength(): number {
    return this.inner.queueLength;
  }

  get sequenceCount(): number {
    return this.inner.sequenceCount ?? 0;
  }

  holdsSequence(id: string): boolean {
    return this.inner.holdsSequence?.(id) === true;
  }

  abstract infer(request: InferRequest, context: InferContext): Promise<InferResult>;

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.inner[Symbol.asyncDispose]();
  }
}
