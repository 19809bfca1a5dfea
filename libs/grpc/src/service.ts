import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { CallContext } from "./call-context.ts";

/** The handler of one method, by its kind. */
export type MethodImplementation<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext) => MessageInitShape<O> | Promise<MessageInitShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => Promise<MessageInitShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageShape<I>>, context: CallContext) => AsyncIterable<MessageInitShape<O>>
          : never;

/** Handlers of all methods of a service, named as in TypeScript: `createModel` for `CreateModel`. */
export type ServiceImplementation<S extends DescService> = { [K in keyof S["method"]]: MethodImplementation<S["method"][K]> };

/** A handler whose types were checked when it was registered. */
export interface UntypedMethod {
  readonly desc: DescMethod & { readonly input: DescMessage; readonly output: DescMessage };
  readonly handle: (request: never, context: CallContext) => unknown;
  /** Whether the handler takes and answers encoded messages. */
  readonly raw: boolean;
}

/** A service ready to be served. */
export interface ServiceRegistration {
  readonly desc: DescService;
  readonly methods: readonly UntypedMethod[];
}

/** Binds handlers to a service's descriptor; the compiler checks every request and response type. */
export function implement<S extends DescService>(desc: S, implementation: ServiceImplementation<S>): ServiceRegistration;
/** The same; `raw` handlers take and answer encoded messages: for the calls where decoding is what costs. */
export function implement<S extends DescService, R extends keyof S["method"]>(desc: S, implementation: Omit<ServiceImplementation<S>, R>, raw: Pick<RawImplementation<S>, R>): ServiceRegistration;
export function implement(desc: DescService, implementation: object, raw: object = {}): ServiceRegistration {
  const decoded = bind(desc, { ...implementation, ...raw }, false);
  return { desc, methods: decoded.methods.map((method) => ({ ...method, raw: method.desc.localName in raw })) };
}

/** Handlers of all methods of a service that take and answer encoded messages. */
export type RawImplementation<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends DescMethodBiDiStreaming
    ? (requests: AsyncIterable<Uint8Array>, context: CallContext) => AsyncIterable<Uint8Array>
    : S["method"][K] extends DescMethodUnary
      ? (request: Uint8Array, context: CallContext) => Promise<Uint8Array>
      : never;
};

/** Binds handlers of encoded messages: for whoever looks at a few bytes and passes the call on undecoded. */
export function implementRaw<S extends DescService>(desc: S, implementation: RawImplementation<S>): ServiceRegistration {
  return bind(desc, implementation, true);
}

function bind(desc: DescService, handlers: Record<string, UntypedMethod["handle"]>, raw: boolean): ServiceRegistration {
  return {
    desc,
    methods: desc.methods.map((method) => {
      const handle = handlers[method.localName];
      if (handle === undefined) throw new TypeError(`${desc.typeName}.${method.name} has no handler`);
      return { desc: method, handle: handle.bind(handlers), raw };
    }),
  };
}

/** "/package.Service/Method". */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
