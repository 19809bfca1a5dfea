export { testDatabases, type TestDatabase } from "./databases.ts";
export { parameterFormula } from "./parameter-formula.ts";
export { startPostgres, type TestPostgres } from "./postgres.ts";
export { seededRandom, type SeededRandom } from "./seeded-random.ts";
export { sharedAsset, skipWithout } from "./shared-assets.ts";
export { accumulatorModel, repeatModel, simpleDynaSequenceModel, simpleSequenceModel, type ModelFixture } from "./fixtures/sequence-models.ts";
export { tempDir } from "./temp-dir.ts";
export { addSubModel, identityModel } from "./fixtures/triton-models.ts";
