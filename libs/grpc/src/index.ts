export { REQUEST_ID_KEY, type CallContext } from "./call-context.ts";
export { MESSAGE_BYTES_MAX, createChannel, type Channel, type ChannelOptions } from "./channel.ts";
export { createClient, rawStream, rawUnary, type CallOptions, type Client } from "./client.ts";
export { type EndedCall } from "./handlers.ts";
export { type HealthState } from "./health.ts";
export { proxyService, type ProxyRegistration } from "./proxy.ts";
export { internalAuthenticator, startGrpcServer, type GrpcServer, type GrpcServerOptions } from "./server.ts";
export { implement, implementRaw, methodPath, type RawImplementation, type ServiceImplementation, type ServiceRegistration } from "./service.ts";
export { fromGrpcError, toGrpcStatus } from "./status.ts";
