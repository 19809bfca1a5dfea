const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Listens for the request to stop. */
export interface StopSignal extends Disposable {
  /** Resolves at the first request; later ones are the same request. */
  readonly requested: Promise<NodeJS.Signals>;
  /** Aborted at the first request. */
  readonly signal: AbortSignal;
}

/**
 * Takes over SIGINT, SIGTERM and SIGHUP. A terminal's Ctrl-C reaches us twice, from the terminal and from the launcher, so
 * a repeated signal must not mean "at once"; every step of a stop has a deadline instead.
 */
export function stopSignal(): StopSignal {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    resolve(signal);
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    requested: promise,
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
