import { once } from "node:events";
import { unlinkSync } from "node:fs";
import { connect } from "node:net";
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { identityFromMetadata, type Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import type { Logger } from "@servable/telemetry";
import { MESSAGE_BYTES_MAX } from "./channel.ts";
import { asBuffer, identity, transportOptions } from "./grpc-js-channel.ts";
import { createCarrierDoor, type CarrierDoor } from "./carrier-door.ts";
import { handlerOf, type CallPolicy, type EndedCall } from "./handlers.ts";
import { createHealth, type HealthState } from "./health.ts";
import { proxyHandlers, type ProxyRegistration } from "./proxy.ts";
import { createMessageMemory } from "./message-memory.ts";
import { createReflection } from "./reflection.ts";
import { methodPath, type ServiceRegistration } from "./service.ts";
import { raiseWindows } from "./server-windows.ts";
import type { HeaderGetter } from "./tracing.ts";
import { openUnaryDoor, type DoorMethod } from "./unary-door.ts";

/** What a server serves and under which rules. */
export interface GrpcServerOptions {
  /** "host:port" (port 0 = any) or "unix:/path". */
  readonly address: string;
  readonly services: readonly ServiceRegistration[];
  readonly proxies?: readonly ProxyRegistration[];
  /** Verifies callers; health and reflection are open. Absent = nobody is verified. */
  readonly authenticate?: (header: HeaderGetter, method: string) => Identity | undefined | Promise<Identity | undefined>;
  /** Largest request taken. @default 64 MiB */
  readonly receiveBytesMax?: number;
  /** Calls that one connection may have open, for servers that strangers reach. Absent = any number. */
  readonly callsPerConnectionMax?: number;
  /** Bytes of all requests that are worked on at once. Absent = any number. */
  readonly heldBytesMax?: number;
  /** How long calls in flight may go on at shutdown. @default 5000 */
  readonly drainMs?: number;
  /** The variable that PORT_IN_USE names. @default "SERVABLE_LISTEN" */
  readonly portVariable?: string;
  /** Who answers unary calls: we directly on their HTTP/2 streams, or grpc-js at three times the cost. @default "direct" */
  readonly unaryDoor?: "direct" | "grpc-js";
  /** Whether small unary calls may come on one long stream (servable.transport.v1.CallCarrierService): for our own services only, which keep their own bounds. @default false */
  readonly carriesCalls?: boolean;
  readonly onCallEnd?: (call: EndedCall) => void;
  readonly logger?: Logger;
}

/** A running server; disposing drains it. */
export interface GrpcServer extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: string;
  readonly health: HealthState;
}

const DRAIN_MS = 5_000;

/**
 * Starts a server with health and reflection.
 *
 * @throws StatusError `PORT_IN_USE` naming the variable to set
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { address, services, proxies = [], drainMs = DRAIN_MS } = options;
  const served = [...services.map(({ desc }) => desc), ...proxies.map(({ desc }) => desc)];
  const health = createHealth(served.map(({ typeName }) => typeName));
  const open = [health.registration, ...createReflection([...served, health.registration.desc])];
  const policy: CallPolicy = { authenticate: options.authenticate, onCallEnd: options.onCallEnd, memory: options.heldBytesMax === undefined ? undefined : createMessageMemory(options.heldBytesMax), logger: options.logger };
  const openPolicy: CallPolicy = { authenticate: undefined, onCallEnd: undefined, memory: undefined, logger: options.logger };

  const server = new Server({
    ...transportOptions(options.receiveBytesMax),
    ...(options.callsPerConnectionMax === undefined ? {} : { "grpc.max_concurrent_streams": options.callsPerConnectionMax }),
  });
  if (!raiseWindows(server)) options.logger?.warn({ event: "grpc_windows_default", help: "this version of grpc-js keeps HTTP/2 windows of 64 KiB: large tensors come slower" });
  let carriers: CarrierDoor | undefined;
  if (options.unaryDoor !== "grpc-js") {
    const receiveBytesMax = options.receiveBytesMax ?? MESSAGE_BYTES_MAX;
    const methods = new Map([...unaryMethods(services, policy), ...unaryMethods(open, openPolicy)]);
    if (options.carriesCalls === true) carriers = createCarrierDoor(methods, receiveBytesMax);
    const isOpen = openUnaryDoor(server, methods, receiveBytesMax, carriers);
    if (!isOpen) options.logger?.warn({ event: "grpc_unary_door_closed", help: "this version of grpc-js serves unary calls itself: they cost more" });
  }
  for (const registration of services) addService(server, registration, policy);
  for (const registration of open) addService(server, registration, openPolicy);
  for (const registration of proxies) addProxy(server, registration, policy);

  const bound = await bind(server, address, options.portVariable ?? "SERVABLE_LISTEN");
  return {
    address: bound,
    health: health.state,
    [Symbol.asyncDispose]: async () => {
      for (const service of ["", ...served.map(({ typeName }) => typeName)]) health.state.set(service, false);
      carriers?.drain();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => server.forceShutdown(), drainMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

/** Verification for services behind the gateway: the installation's token, then the identity that comes with it. */
export function internalAuthenticator(token: string): (header: HeaderGetter) => Identity {
  return (header) => identityFromMetadata(header, token);
}

/** Unary methods by path, with the policy that they fall under. */
function unaryMethods(registrations: readonly ServiceRegistration[], policy: CallPolicy): [string, DoorMethod][] {
  return registrations.flatMap(({ methods }) => methods.filter(({ desc }) => desc.methodKind === "unary").map((method): [string, DoorMethod] => [methodPath(method.desc), { method, policy }]));
}

function addService(server: Server, { methods }: ServiceRegistration, policy: CallPolicy): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const handlers: UntypedServiceImplementation = {};
  for (const method of methods) {
    const { methodKind, name } = method.desc;
    definition[name] = {
      path: methodPath(method.desc),
      requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
      responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
      ...BYTES,
    };
    handlers[name] = handlerOf(method, policy);
  }
  server.addService(definition, handlers);
}

function addProxy(server: Server, registration: ProxyRegistration, policy: CallPolicy): void {
  const definition: Record<string, ServiceDefinition[string]> = {};
  const handlers: UntypedServiceImplementation = {};
  for (const [name, { path, handler }] of Object.entries(proxyHandlers(registration, policy))) {
    definition[name] = { path, requestStream: true, responseStream: true, ...BYTES };
    handlers[name] = handler;
  }
  server.addService(definition, handlers);
}

/** Messages stay bytes inside grpc-js; they are decoded where an error can be given its reason. */
const BYTES = { requestSerialize: asBuffer, requestDeserialize: identity, responseSerialize: asBuffer, responseDeserialize: identity };

async function bind(server: Server, address: string, variable: string): Promise<string> {
  if (address.startsWith("unix:")) await removeStaleSocket(address.slice("unix:".length), address, variable);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error)));
  try {
    const port = await promise;
    return address.startsWith("unix:") ? address : address.replace(/:\d+$/, `:${port}`);
  } catch (error) {
    if (/EADDRINUSE/.test(String(error))) throw portInUse(address, variable, error);
    throw new StatusError("CONFIG_INVALID", `cannot listen on ${address}: correct ${variable}`, { metadata: { variable }, cause: error });
  }
}

/** A process that was killed leaves its socket behind; one that still answers keeps it. */
async function removeStaleSocket(path: string, address: string, variable: string): Promise<void> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") unlinkSync(path);
    return;
  } finally {
    socket.destroy();
  }
  throw portInUse(address, variable);
}

function portInUse(address: string, variable: string, cause?: unknown): StatusError {
  return new StatusError("PORT_IN_USE", `${address} is in use: stop what listens there or set ${variable} to another`, { metadata: { variable }, cause });
}
