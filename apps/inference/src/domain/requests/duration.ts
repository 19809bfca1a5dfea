/** A count with the time that went with it. */
export interface Duration {
  count: number;
  ns: number;
}
