import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { chooseNext, fadedUsage, type ProjectShare, type ShareClaim, type ShareState } from "./fair-share.ts";

const PROJECTS = ["a", "b", "c"];
const claims = (prefix: string, max: number) =>
  fc.array(fc.record({ project: fc.constantFrom(...PROJECTS), priority: fc.integer({ min: -2, max: 2 }) }), { maxLength: max }).map((list) => list.map((claim, index): ShareClaim => ({ ...claim, id: `${prefix}${index}`, sequence: index + (prefix === "w" ? 100 : 0) })));
const states = fc.record<ShareState>({
  waiting: claims("w", 12),
  running: claims("r", 6),
  freeCount: fc.integer({ min: 0, max: 3 }),
  projects: fc.dictionary(fc.constantFrom(...PROJECTS), fc.record<ProjectShare>({ weight: fc.integer({ min: 1, max: 4 }), runningMax: fc.integer({ min: 0, max: 4 }), usageMs: fc.integer({ min: 0, max: 1_000 }) })),
});
const heldBy = (claims: readonly ShareClaim[], project: string): number => claims.filter((claim) => claim.project === project).length;
const quotaOf = ({ projects }: ShareState, project: string): number => projects[project]?.runningMax ?? Infinity;

/** Applies a choice as the queue would. */
function apply(state: ShareState): ShareState | undefined {
  const choice = chooseNext(state);
  if (choice === undefined) return undefined;
  const { start, preempt } = choice;
  return {
    ...state,
    waiting: [...state.waiting.filter(({ id }) => id !== start.id), ...(preempt === undefined ? [] : [preempt])],
    running: [...state.running.filter(({ id }) => id !== preempt?.id), start],
    freeCount: preempt === undefined ? state.freeCount - 1 : state.freeCount,
  };
}

describe("fair share", () => {
  it("never gives a project more places than its quota", () => {
    fc.assert(fc.property(states, (state) => {
      const next = apply(state);
      const started = chooseNext(state)?.start.project;
      if (next !== undefined && started !== undefined) assert.ok(heldBy(next.running, started) <= Math.max(quotaOf(state, started), heldBy(state.running, started)));
    }));
  });

  it("leaves no place free that somebody may take", () => {
    fc.assert(fc.property(states, (state) => {
      const somebody = state.waiting.some(({ project }) => heldBy(state.running, project) < quotaOf(state, project));
      if (state.freeCount > 0 && somebody) assert.notEqual(chooseNext(state), undefined);
    }));
  });

  it("starts no job before a waiting one of the same project that goes first", () => {
    fc.assert(fc.property(states, (state) => {
      const start = chooseNext(state)?.start;
      if (start === undefined) return;
      for (const other of state.waiting) {
        if (other.project === start.project && other.id !== start.id) assert.ok(other.priority < start.priority || (other.priority === start.priority && other.sequence > start.sequence));
      }
    }));
  });

  it("takes places only from lower priorities of the same project, or from projects that keep as much", () => {
    fc.assert(fc.property(states, (state) => {
      const choice = chooseNext(state);
      if (choice?.preempt === undefined) return;
      const { start, preempt } = choice;
      if (start.project === preempt.project) return assert.ok(preempt.priority < start.priority);
      const share = (project: string, change: number): number => (heldBy(state.running, project) + change) / (state.projects[project]?.weight ?? 1);
      assert.ok(share(preempt.project, -1) >= share(start.project, 1));
    }));
  });

  it("comes to rest: a choice is not undone by the next ones", () => {
    fc.assert(fc.property(states, (state) => {
      let current: ShareState | undefined = state;
      for (let turn = 0; current !== undefined; turn++) {
        assert.ok(turn <= 200, "it goes on for ever");
        current = apply(current);
      }
    }));
  });

  it("does not depend on the order in which it is told", () => {
    fc.assert(fc.property(states, (state) => assert.deepEqual(chooseNext(state), chooseNext({ ...state, waiting: state.waiting.toReversed(), running: state.running.toReversed() }))));
  });

  it("gives projects time in proportion to their weights", () => {
    const weights: Record<string, number> = { a: 1, b: 2, c: 5 };
    const usage: Record<string, number> = { a: 0, b: 0, c: 0 };
    let sequence = 0;
    for (let turn = 0; turn < 800; turn++) {
      const waiting = PROJECTS.map((project) => ({ id: `${project}${turn}`, project, priority: 0, sequence: sequence++ }));
      const choice = chooseNext({ waiting, running: [], freeCount: 1, projects: Object.fromEntries(PROJECTS.map((project) => [project, { weight: weights[project], usageMs: usage[project] }])) });
      usage[choice?.start.project ?? ""] = (usage[choice?.start.project ?? ""] ?? 0) + 1;
    }

    assert.deepEqual(usage, { a: 100, b: 200, c: 500 });
  });

  it("forgets half of a usage in each half-life", () => {
    assert.equal(fadedUsage(100, 0, 10), 100);
    assert.equal(fadedUsage(100, 20, 10), 25);
    assert.equal(fadedUsage(100, -5, 10), 100);
  });
});
