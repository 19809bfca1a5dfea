import { Client as GrpcClient, credentials, type ChannelOptions as GrpcChannelOptions } from "@grpc/grpc-js";

/** Largest message either side takes unless told otherwise: as Triton's HTTP default. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** HTTP/2's default window of 64 KiB halves the rate of larger tensors. */
const FLOW_CONTROL_WINDOW_BYTES = 1024 * 1024;

/** What a channel needs to know. */
export interface ChannelOptions {
  /** The installation's token, for calls between services. */
  readonly token?: string | undefined;
  /** Largest answer taken. @default 64 MiB */
  readonly receiveBytesMax?: number | undefined;
  /** How long a call may take when it does not say. Absent = as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

/** A connection that comes back by itself; many clients may share it. */
export interface Channel {
  readonly address: string;
  readonly token: string | undefined;
  readonly timeoutMs: number | undefined;
  /** The grpc-js client beneath. */
  readonly client: GrpcClient;
  close(): void;
}

/** Transport settings that client and server share. */
export function transportOptions(receiveBytesMax: number = MESSAGE_BYTES_MAX): GrpcChannelOptions {
  return {
    "grpc.max_receive_message_length": receiveBytesMax,
    "grpc.max_send_message_length": -1,
    "grpc-node.flow_control_window": FLOW_CONTROL_WINDOW_BYTES,
  };
}

/** Opens a channel to "host:port" or "unix:/path"; it connects with the first call. */
export function createChannel(address: string, options: ChannelOptions = {}): Channel {
  const client = new GrpcClient(address, credentials.createInsecure(), {
    ...transportOptions(options.receiveBytesMax),
    // A service that restarts is back within a second; waiting longer would only prolong the outage.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1000,
    "grpc.enable_retries": 0,
    "grpc.service_config_disable_resolution": 1,
    // Channels to a unix socket that was replaced must not share a dead subchannel.
    "grpc.use_local_subchannel_pool": 1,
  });
  return { address, token: options.token, timeoutMs: options.timeoutMs, client, close: () => client.close() };
}
