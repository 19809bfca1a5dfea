// A decoder that does what the picture says: the first byte of a file decides.

process.on("disconnect", () => process.exit(0));
process.on("message", ({ id, job: { source } }: { id: number; job: { source: Uint8Array } }) => {
  const order = String.fromCharCode(source[0] ?? 0);
  if (order === "c") process.kill(process.pid, "SIGSEGV");
  if (order === "m") hoard.push(Buffer.alloc(256 * 1024 ** 2, 1));
  if (order === "a") process.send?.({ id, answer: { shape: [1], data: source, datatype: "UINT8", width: 1, height: 1 } });
});
const hoard: Buffer[] = [];
process.send?.({ ready: true });
