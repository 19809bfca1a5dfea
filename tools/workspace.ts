import { globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** The repository's root folder. */
export const ROOT = resolve(import.meta.dirname, "..");

/** The layers, lowest first. */
export type Layer = "contract" | "core" | "platform" | "sdk" | "testing" | "app" | "e2e";

/** One workspace package. */
export interface WorkspacePackage {
  /** "@servable/…". */
  readonly name: string;
  /** Folder relative to the root, e.g. "libs/errors". */
  readonly folder: string;
  readonly layer: Layer;
  /** Declared runtime dependencies by name. */
  readonly dependencies: ReadonlySet<string>;
  /** Declared development dependencies by name. */
  readonly devDependencies: ReadonlySet<string>;
}

/** Every package under apps/ and libs/. */
export function readWorkspace(root: string = ROOT): WorkspacePackage[] {
  return globSync("{apps,libs}/*/package.json", { cwd: root })
    .sort()
    .map((file) => {
      const manifest = JSON.parse(readFileSync(join(root, file), "utf8")) as {
        name: string;
        dependencies?: Record<string, string>;
        devDependencies?: Record<string, string>;
        nx?: { tags?: string[] };
      };
      const layer = manifest.nx?.tags?.find((tag) => tag.startsWith("layer:"))?.slice("layer:".length);
      if (layer === undefined) throw new Error(`${file}: give the package its layer, "nx": {"tags": ["layer:…"]}`);
      return {
        name: manifest.name,
        folder: dirname(file),
        layer: layer as Layer,
        dependencies: new Set(Object.keys(manifest.dependencies ?? {})),
        devDependencies: new Set(Object.keys(manifest.devDependencies ?? {})),
      };
    });
}
