import { firstDifference } from "../../src/parity/compare/differences.ts";
import { readStream } from "../../src/parity/compare/read-stream.ts";
import type { Event } from "../../src/protocol/events.ts";
import { type BlockEvent, isBlock, textOf } from "./check-turn.ts";
import type { Watcher } from "./host.ts";

type Watched = Pick<Watcher, "how" | "seen">;

/**
 * What a client of the whole log, over all its connections, was told against the log as it is in the end: each event and
 * each character once and in order, nothing that is not there, nothing left out.
 */
export function checkWatcher(watcher: Watched, log: readonly Event[]): string[] {
  const { how, seen } = watcher;
  const { events } = readStream(framesOf(watcher), "log");
  const found = new Map(events.map((event) => [event.seq, event]));
  const streams = (seq: number) => log.some((event) => event.seq === seq && isBlock(event) && !event.data.done);
  return [
    ...frameFaults(watcher, (seq) => !streams(seq)),
    ...log.flatMap((expected) => {
      const event = found.get(expected.seq);
      if (event === undefined) return [`${how}: never saw event ${expected.seq} ${expected.type}`];
      const text = firstDifference(contentOf(expected), contentOf(event));
      return text === "" ? [] : [`${how}, event ${expected.seq} ${expected.type}: ${text}`];
    }),
    ...seen.flatMap(({ event }) => {
      const logged = log[event.seq - 1];
      if (logged === undefined) return [`${how}: saw event ${event.seq} ${event.type}, which is not in the log`];
      const text = firstDifference(envelopeOf(logged), envelopeOf(event));
      return text === "" ? [] : [`${how}, a frame of event ${event.seq} ${event.type}: ${text}`];
    }),
  ];
}

/** What is wrong with a client's frames by themselves: the log is gone, or the client left before its end. */
export function checkFrames(watcher: Watched): string[] {
  return frameFaults(watcher, () => false);
}

/** What clients of one session were told, against each other, also of text that was discarded later. */
export function checkAgreement([first, ...others]: readonly Watched[]): string[] {
  if (first === undefined) return [];
  const told = wholeFrames(first);
  return [
    ...others.flatMap((other) =>
      [...wholeFrames(other)].flatMap(([seq, one]) => {
        const same = told.get(seq);
        if (same === undefined) return [];
        const envelope = firstDifference(envelopeOf(same.event), envelopeOf(one.event));
        const text = envelope === "" ? contentDifference(same, one) : envelope;
        return text === "" ? [] : [`${other.how} against ${first.how}, event ${seq} ${one.event.type}: ${text}`];
      }),
    ),
    ...checkAgreement(others),
  ];
}

function framesOf({ seen }: Watched): Event[] {
  return seen.map(({ event }) => event);
}

function frameFaults(watcher: Watched, mustEnd: (seq: number) => boolean): string[] {
  const { how } = watcher;
  const frames = framesOf(watcher);
  const { faults, events } = readStream(frames, "log");
  const last = faults.at(-1);
  const unended = events.find((event) => event.seq === last?.seq);
  // What streamed last has no end yet; that is the last thing that a reading says.
  const streams = unended !== undefined && isBlock(unended) && !unended.data.done && !mustEnd(unended.seq);
  return [
    ...(streams ? faults.slice(0, -1) : faults).map(({ seq, type, text }) => `${how}, event ${seq} ${type}: ${text}`),
    ...frames.flatMap((event) =>
      isBlock(event) ? pieceFaults(event).map((text) => `${how}, event ${event.seq} ${event.type}: ${text}`) : [],
    ),
  ];
}

function pieceFaults(piece: BlockEvent): string[] {
  const { discarded, offset, done } = piece.data;
  const isVoid = textOf(piece) === "" && offset === 0 && done;
  return [
    ...(textOf(piece).isWellFormed() ? [] : ["a frame ends inside a character"]),
    ...(discarded === undefined || isVoid ? [] : ["a discarded block is not told as one"]),
  ];
}

function envelopeOf({ type, turn_id, timestamp }: Event) {
  return { type, turn_id, timestamp };
}

function contentOf(event: Event) {
  return { ...envelopeOf(event), data: event.data };
}

/** An event as a client was told of it, with the characters of a block as they came, before anything discarded them. */
type Told = { event: Event; text: string };

function wholeFrames(watcher: Watched): Map<number, Told> {
  const told = new Map<number, Told>();
  for (const event of framesOf(watcher)) {
    const text = isBlock(event) ? textOf(event) : "";
    told.set(event.seq, { event, text: `${told.get(event.seq)?.text ?? ""}${text}` });
  }
  return told;
}

/** Of a block one client may have had more than another. */
function contentDifference(one: Told, other: Told): string {
  if (!isBlock(one.event)) return firstDifference(one.event.data, other.event.data);
  const length = Math.min(one.text.length, other.text.length);
  return firstDifference(one.text.slice(0, length), other.text.slice(0, length), "text");
}
