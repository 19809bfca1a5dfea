// Which waiting job gets the next place, as a pure function: several services on one database, asked the same, answer the
// same. Between projects the one goes first that holds the fewest places for its weight; where two hold alike, the one that
// used less lately (a sum that fades, so that nobody is punished for last week and nobody hoards by being idle). Inside a
// project the higher priority goes first, then who came first. A priority is the project's own word: it moves no other
// project's jobs.
//
// A full house is opened by preemption in two cases only: a project's own job of lower priority, or a job of a project that
// even after giving the place would hold at least as much for its weight as the taker. The second never swings back.
//
// Source: the shares are those of dominant resource fairness with one resource (Ghodsi et al. 2011, section 3); fading usage
// as in the fair-share factor of Slurm's multifactor plugin.

/** A job that waits or runs. */
export interface ShareClaim {
  readonly id: string;
  readonly project: string;
  /** Higher goes first inside its project. */
  readonly priority: number;
  /** Order of arrival. */
  readonly sequence: number;
}

/** What a project may hold and what it used. */
export interface ProjectShare {
  /** Places for which it counts against others; above 0. @default 1 */
  readonly weight?: number | undefined;
  /** Places at most. @default Infinity */
  readonly runningMax?: number | undefined;
  /** Milliseconds used lately, see {@link fadedUsage}. @default 0 */
  readonly usageMs?: number | undefined;
}

/** What is decided upon. */
export interface ShareState {
  readonly waiting: readonly ShareClaim[];
  readonly running: readonly ShareClaim[];
  /** Places that nobody holds. */
  readonly freeCount: number;
  /** By project; others have the defaults. */
  readonly projects: Readonly<Record<string, ProjectShare>>;
}

/** A job to start; `preempt` gives its place first. */
export interface ShareChoice {
  readonly start: ShareClaim;
  readonly preempt?: ShareClaim | undefined;
}

/** The next job to start; undefined when none may. */
export function chooseNext({ waiting, running, freeCount, projects }: ShareState): ShareChoice | undefined {
  const held = new Map<string, number>();
  for (const { project } of running) held.set(project, (held.get(project) ?? 0) + 1);
  const weightOf = (project: string): number => projects[project]?.weight ?? 1;
  const shareOf = (project: string, change = 0): number => ((held.get(project) ?? 0) + change) / weightOf(project);
  const full = (project: string): boolean => (held.get(project) ?? 0) >= (projects[project]?.runningMax ?? Infinity);
  const firsts = firstOfEach(waiting).sort(
    (a, b) => shareOf(a.project) - shareOf(b.project) || usageOf(projects, a.project) - usageOf(projects, b.project) || a.sequence - b.sequence,
  );
  if (freeCount > 0) {
    const start = firsts.find(({ project }) => !full(project));
    if (start !== undefined) return { start };
  }
  for (const start of firsts) {
    const own = last(running.filter((claim) => claim.project === start.project && claim.priority < start.priority));
    if (own !== undefined) return { start, preempt: own };
    if (full(start.project) || freeCount > 0) continue;
    const rich = running.filter(({ project }) => project !== start.project && shareOf(project, -1) >= shareOf(start.project, 1));
    const richest = Math.max(...rich.map(({ project }) => shareOf(project)));
    const other = last(rich.filter(({ project }) => shareOf(project) === richest));
    if (other !== undefined) return { start, preempt: other };
  }
  return undefined;
}

/** What of a usage still counts: it halves every `halfLifeMs`. */
export function fadedUsage(usageMs: number, elapsedMs: number, halfLifeMs: number): number {
  return usageMs * 2 ** (-Math.max(0, elapsedMs) / halfLifeMs);
}

function usageOf(projects: ShareState["projects"], project: string): number {
  return (projects[project]?.usageMs ?? 0) / (projects[project]?.weight ?? 1);
}

/** The claim of each project that would go first. */
function firstOfEach(claims: readonly ShareClaim[]): ShareClaim[] {
  const firsts = new Map<string, ShareClaim>();
  for (const claim of claims) {
    const known = firsts.get(claim.project);
    if (known === undefined || before(claim, known)) firsts.set(claim.project, claim);
  }
  return [...firsts.values()];
}

/** The claim that loses least by giving its place: lowest priority, latest arrival. */
function last(claims: readonly ShareClaim[]): ShareClaim | undefined {
  return claims.reduce<ShareClaim | undefined>((worst, claim) => (worst === undefined || before(worst, claim) ? claim : worst), undefined);
}

function before(a: ShareClaim, b: ShareClaim): boolean {
  return a.priority !== b.priority ? a.priority > b.priority : a.sequence < b.sequence;
}
