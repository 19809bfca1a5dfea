export { ChangeSignal } from "./change-signal.ts";
export { openDatabase, type Database, type DatabaseOptions } from "./database.ts";
export {
  checkArtifactPath,
  linkArtifacts,
  linkOrCopy,
  openDataDir,
  openFileBlobStore,
  readOrCreateSecret,
  type BlobExpectation,
  type BlobInfo,
  type BlobStore,
  type DataDir,
  type FolderArtifact,
} from "./files.ts";
export { isUniqueViolation } from "./error-mapping.ts";
export { insertNew } from "./insert-new.ts";
