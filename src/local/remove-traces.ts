import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Sql } from "../engine/ports.ts";
import { sessionId as sessionIdShape } from "../protocol/ids.ts";
import type { Settings } from "../session/settings.ts";
import { usageLeft } from "../session/turn-usage.ts";
import type { Home } from "./home.ts";
import { SessionClaim } from "./session-claim.ts";
import type { SessionIndex } from "./session-index.ts";
import { findStored, versionOf } from "./stored-session.ts";
import { sweepSession } from "./sweep-session.ts";

/** Who keeps sessions in a home; other processes are told of it as `holder`. */
export type Keeper = { home: Home; index: SessionIndex; holder: string };

/** A session has a claim long before this: what is as old and has no database, nobody is about to make. */
const UNCLAIMED_MS = 60_000;

/**
 * Removes everything of a session that is held and whose database is closed; a directory that was named for it stays as
 * it is. Can be killed anywhere and repeated: its state, which says that it is deleted, goes last.
 */
export async function removeTraces(keeper: Keeper, claim: SessionClaim, settings: Settings): Promise<void> {
  const { home } = keeper;
  const { session_id, directory } = settings;
  // While it is still there, for it says where temporary files lie in a directory that stays.
  await sweepSession(home, settings, null);
  if (directory === undefined) rmSync(home.filesOf(session_id), { recursive: true, force: true });
  // A holder that was killed has left it.
  rmSync(home.doorOf(session_id), { force: true });
  claim.removeFolder();
  sweep(keeper);
}

/**
 * Takes a session that is being deleted out of the list, and tells what its turns used, while its database is there.
 * Idempotent.
 */
export function leaveIndex(index: SessionIndex, sql: Sql, { session_id }: Pick<Settings, "session_id">): void {
  for (const usage of usageLeft(sql)) index.remove(session_id, usage);
}

/** Removes what there is of a session that was never listed, and gives it back whether that can be removed or not. */
export function removeUnmade(home: Home, claim: SessionClaim, sessionId: string): void {
  try {
    rmSync(home.filesOf(sessionId), { recursive: true, force: true });
    claim.removeFolder();
  } finally {
    claim.release();
  }
}

/** Removes what a deletion that was killed has put aside. */
export function removeAside(home: Home, sessionId: string): void {
  rmSync(home.removedOf(sessionId), { recursive: true, force: true });
}

/** What is left of sessions whose removal or making was killed. Another process may be at it too. */
function sweep(keeper: Keeper): void {
  const { states } = keeper.home;
  forEachState(keeper.home, (name) => {
    if (name.endsWith(".removed")) rmSync(join(states, name), { recursive: true, force: true });
    else if (sessionIdShape.safeParse(name).success) sweepUnmade(keeper, name);
  });
}

/** What goes wrong with one is in the way of none of the others. Never throws. */
function forEachState({ states }: Home, act: (name: string) => void): void {
  let names: string[] = [];
  try {
    names = readdirSync(states);
  } catch (thrown) {
    console.error("delete:", thrown);
  }
  for (const name of names) {
    try {
      act(name);
    } catch (thrown) {
      console.error("delete:", name, thrown);
    }
  }
}

function sweepUnmade(keeper: Keeper, sessionId: string): void {
  const { home, index, holder } = keeper;
  const isUnmade = () => index.get(sessionId) === null && !isMade(keeper, sessionId);
  // Before all else, since to look into its database is to touch its folder.
  const state = statSync(home.stateOf(sessionId), { throwIfNoEntry: false });
  if (state === undefined || Date.now() - state.mtimeMs < UNCLAIMED_MS || !isUnmade()) return;
  const claim = SessionClaim.take(home.stateOf(sessionId), holder);
  if (!(claim instanceof SessionClaim)) return;
  // It may have been made before the claim was free.
  if (isUnmade()) removeUnmade(home, claim, sessionId);
  else claim.release();
}

/** Whether there is such a session, or was. One that was killed before it was listed is listed. */
function isMade({ home, index }: Keeper, sessionId: string): boolean {
  const stored = findStored(home, sessionId);
  if (stored !== null && stored !== "deleting") index.put(stored.view, versionOf(stored));
  return stored !== null;
}

/**
 * The sessions whose deletion was killed, or is under way: those are listed no more, and their state is still there.
 * Never throws.
 */
export function halfDeleted({ home, index }: Pick<Keeper, "home" | "index">): string[] {
  const found: string[] = [];
  forEachState(home, (name) => {
    const isUnlisted = sessionIdShape.safeParse(name).success && index.get(name) === null;
    if (isUnlisted && findStored(home, name) === "deleting") found.push(name);
  });
  return found;
}
