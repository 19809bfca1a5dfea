export { API_KEY_PREFIX, generateApiKey, hashApiKey, isWellFormedApiKey, visiblePrefix } from "./api-key.ts";
export {
  IDENTITY_METADATA,
  authorize,
  identityFromMetadata,
  identityToMetadata,
  requireProject,
  requireRole,
  sameSecret,
  serviceIdentity,
  type Identity,
  type Role,
} from "./identity.ts";
