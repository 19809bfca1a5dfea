// The package brings no types; these are of what is used here. Source: yauzl 3.4.0, README.md.
declare module "yauzl" {
  interface Entry {
    readonly fileName: string;
    readonly compressedSize: number;
    readonly uncompressedSize: number;
    isEncrypted(): boolean;
  }
  interface Archive {
    readonly entryCount: number;
    readonly fileSize: number;
    eachEntry(): AsyncIterable<Entry>;
    openReadStreamPromise(entry: Entry): Promise<NodeJS.ReadableStream>;
    close(): void;
  }
  interface Options {
    readonly lazyEntries?: boolean;
    readonly autoClose?: boolean;
    readonly validateEntrySizes?: boolean;
    readonly strictFileNames?: boolean;
  }
  const yauzl: { openPromise(path: string, options?: Options): Promise<Archive> };
  export default yauzl;
}
