export { checkArtifactPath, linkArtifacts, linkOrCopy, type FolderArtifact } from "./artifact-folder.ts";
export { openFileBlobStore, type BlobExpectation, type BlobInfo, type BlobStore } from "./blob-store.ts";
export { ChangeSignal } from "./change-signal.ts";
export { openDataDir, readOrCreateSecret, type DataDir } from "./data-dir.ts";
export { openDatabase, type Database, type DatabaseOptions } from "./database.ts";
export { isUniqueViolation } from "./error-mapping.ts";
export { insertNew } from "./insert-new.ts";
