// Which versions a deployment wants is asked at every look at the serving state: by each watcher, each second, and at each
// report of each replica. With thousands of deployments that is thousands of queries for answers that hardly ever differ.
// They follow from versions, aliases and deployments alone, and every change of these appends an event; so an answer is kept
// until an event names its model or its deployment.

import { wantedVersions } from "./deployment-catalog.ts";
import type { DeploymentRecord, VersionRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";

/** Events looked through at a time; after more of them everything is asked anew. */
const EVENTS_MAX = 1_000;

/** The versions that deployments want, remembered between reads. */
export class WantedVersions {
  readonly #kept = new Map<string, { readonly model: string; readonly versions: readonly VersionRecord[] }>();
  #sequence = 0;

  /** The versions of each deployment, in the order given. `sequence` is the newest event's number, read before the deployments. */
  async of(store: RegistryStore, deployments: readonly DeploymentRecord[], sequence: number): Promise<(readonly VersionRecord[])[]> {
    await this.#forgetChanged(store, sequence);
    const names = new Set(deployments.map(({ name }) => name));
    for (const name of this.#kept.keys()) if (!names.has(name)) this.#kept.delete(name);
    return Promise.all(
      deployments.map(async (deployment) => {
        const kept = this.#kept.get(deployment.name);
        if (kept !== undefined) return kept.versions;
        const versions = await wantedVersions(store, deployment);
        // What was read may be newer than `sequence`: its event comes with the next read, and it is asked once more. It must
        // not be older than what another read has seen meanwhile.
        if (this.#sequence === sequence) this.#kept.set(deployment.name, { model: deployment.model, versions });
        return versions;
      }),
    );
  }

  async #forgetChanged(store: RegistryStore, sequence: number): Promise<void> {
    const count = sequence - this.#sequence;
    if (count === 0) return;
    const changed = count > 0 && count <= EVENTS_MAX ? await store.events.resourcesAfter(this.#sequence, EVENTS_MAX) : [];
    this.#sequence = sequence;
    // Events are numbered without gaps: fewer than there should be means that old ones were dropped.
    if (changed.length < count || count < 0) return this.#kept.clear();
    const resources = new Set(changed.map(withoutPart));
    for (const [name, { model }] of this.#kept) if (resources.has(name) || resources.has(model)) this.#kept.delete(name);
  }
}

/** "projects/p/models/m" of "projects/p/models/m/versions/3". */
function withoutPart(resource: string): string {
  return resource.split("/").slice(0, 4).join("/");
}
