// What needs no database: for services that keep only files, and the memory that the drivers would take.

export { checkArtifactPath, linkArtifacts, linkOrCopy, type FolderArtifact } from "./artifact-folder.ts";
export { openFileBlobStore, type BlobExpectation, type BlobInfo, type BlobStore } from "./blob-store.ts";
export { openDataDir, readOrCreateSecret, type DataDir } from "./data-dir.ts";
