import type { Event, EventType } from "../../protocol/events.ts";
import type { Ending, Shown, View } from "../entry-points/entry-point.ts";
import { type NormalEvent, normalise } from "./normalise.ts";
import { type Fault, readStream } from "./read-stream.ts";
import { turnFaults } from "./turn-faults.ts";

/** What a comparison is about: an event of this type, or one of the things that a client is given beside events. */
export type Check = EventType | "answers" | "order" | "result" | "files" | "shown";

/** One thing that is not as it must be. */
export type Divergence = { entry: string; scene: string; check: Check; text: string };

export type FileSeen = { path: string; size: number; sha256: string };

/** What one entry point brought of one scene. */
export type Observation = {
  entry: string;
  scene: string;
  views: readonly View[];
  /** What was shown live and in replay, with what clients say of themselves and times left out; null: nothing was. */
  shown: Record<View["timing"], Shown | null>;
  endings: readonly Ending[];
  files: readonly FileSeen[];
  seconds: number;
  /** Why the scene came to no end. */
  failure: string | null;
};

/** A view whose blocks are whole. */
export type ReadView = {
  view: View;
  /** All events, in the order of seq. */
  events: Event[];
  faults: Fault[];
};

/** All views of an entry point. Turns that one of them leaves out, such as those of which a client wanted the result alone, stand in it as the first has them. */
export function readViews(views: readonly View[]): ReadView[] {
  const [first, ...others] = views.map(readView);
  if (first === undefined) return [];
  return [first, ...others.map((read) => (read.view.scope === "turn" ? withTurnsOf(first, read) : read))];
}

function withTurnsOf(first: ReadView, { events, ...read }: ReadView): ReadView {
  const shown = new Set(events.map(({ turn_id }) => turn_id));
  const left = ofTurns(first.events).filter(({ turn_id }) => !shown.has(turn_id));
  return { ...read, events: [...events, ...left].sort((a, b) => a.seq - b.seq) };
}

/** The view's streams as one. Faults of the streams and of each turn's shape are found on the way. */
function readView(view: View): ReadView {
  const readings = view.streams.map((stream) => readStream(stream, view.scope));
  const events = readings.flatMap((reading) => reading.events).sort((a, b) => a.seq - b.seq);
  const faults = [...readings.flatMap((reading) => reading.faults), ...turnsIn(events).flatMap(turnFaults)];
  return { view, events, faults };
}

/** The turns that the events tell of, in the order in which they first do. */
export function turnsIn(events: readonly Event[]): Event[][] {
  return [...Map.groupBy(ofTurns(events), ({ turn_id }) => turn_id).values()];
}

/** The events of turns; a turn's stream has no others. */
export function ofTurns(events: readonly Event[]): Event[] {
  return events.filter(({ turn_id }) => turn_id !== null);
}

/** The events that belong to no turn. */
function ofNoTurn(events: readonly Event[]): Event[] {
  return events.filter(({ turn_id }) => turn_id === null);
}

export type NormalView = { entry: string; view: string; turns: NormalEvent[]; outside: NormalEvent[] | null };

/** A view in its normal form. Only a view of the whole log shows what happened outside turns. */
export function normalView(entry: string, { view, events }: ReadView): NormalView {
  const outside = view.scope === "log" ? normalise(ofNoTurn(events)) : null;
  return { entry, view: view.name, turns: normalise(ofTurns(events)), outside };
}
