import type { Event, EventOf } from "../../src/protocol/events.ts";

/** A log with other events, as one that numbers them by itself. */
export function renumbered(events: readonly Event[]): Event[] {
  const seqs = new Map(events.map(({ seq }, i) => [seq, i + 1]));
  const moved = (discard: number[]) => discard.map((seq) => seqs.get(seq) ?? seq);
  return events.map((event, i): Event => {
    const place = { seq: i + 1, cursor: `${i + 1}` };
    if (event.type === "ERROR" && event.data.discard !== undefined) {
      return { ...event, ...place, data: { ...event.data, discard: moved(event.data.discard) } };
    }
    if (event.type !== "STATUS" || !("discard" in event.data)) return { ...event, ...place };
    return { ...event, ...place, data: { ...event.data, discard: moved(event.data.discard) } };
  });
}

export function isDiscarded({ data }: Event): boolean {
  return "discarded" in data && data.discarded === true;
}

/** A log in which single things can be found and altered. */
export class AlteredLog {
  readonly #events: readonly Event[];

  constructor(events: readonly Event[]) {
    this.#events = events;
  }

  /** The place of the first event for which `test` holds, from `from` on. */
  placeOf(test: (event: Event) => boolean, from = 0): number {
    const at = this.#events.findIndex((event, i) => i >= from && test(event));
    if (at < 0) throw new Error("The log has no such event.");
    return at;
  }

  /** The place of the first STATUS of this kind. */
  placeOfStatus(status: EventOf<"STATUS">["data"]["status"], from = 0): number {
    return this.placeOf((event) => event.type === "STATUS" && event.data.status === status, from);
  }

  /** The place of the first event of this type. */
  placeOfType(type: Event["type"], from = 0): number {
    return this.placeOf((event) => event.type === type, from);
  }

  at(place: number): Event {
    const event = this.#events[place];
    if (event === undefined) throw new Error("The log is shorter.");
    return event;
  }

  without(at: number): Event[] {
    return renumbered(this.#events.toSpliced(at, 1));
  }

  twice(at: number): Event[] {
    return renumbered(this.#events.toSpliced(at, 0, this.at(at)));
  }

  moved(from: number, to: number): Event[] {
    return renumbered(this.#events.toSpliced(from, 1).toSpliced(to, 0, this.at(from)));
  }

  changed(at: number, data: object): Event[] {
    return this.#events.with(at, Object.assign({ ...this.at(at) }, { data: { ...this.at(at).data, ...data } }));
  }
}
