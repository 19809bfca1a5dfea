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
}

/** A service ready to be served. */
export interface ServiceRegistration {
  readonly desc: DescService;
  readonly methods: readonly UntypedMethod[];
}

/** Binds handlers to a service's descriptor; the compiler checks every request and response type. */
export function implement<S extends DescService>(desc: S, implementation: ServiceImplementation<S>): ServiceRegistration {
  const handlers = implementation as Record<string, UntypedMethod["handle"]>;
  return {
    desc,
    methods: desc.methods.map((method) => {
      const handle = handlers[method.localName];
      if (handle === undefined) throw new TypeError(`${desc.typeName}.${method.name} has no handler`);
      return { desc: method, handle: handle.bind(implementation) };
    }),
  };
}

/** "/package.Service/Method". */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}
