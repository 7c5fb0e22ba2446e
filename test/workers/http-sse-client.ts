import { createParser } from "eventsource-parser";
import { type Event, event as eventSchema } from "../../src/protocol/events.ts";

/** A client of a stream of server-sent events: reads only when it is asked to. */
export class SseClient {
  /** The ids as they came, one an event. */
  readonly ids: (string | undefined)[] = [];
  readonly events: Event[] = [];
  /** Every byte so far. */
  text = "";
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #parser = createParser({
    onEvent: ({ id, event, data }) => {
      if (event !== undefined) throw new Error("There is no event: field in these streams.");
      this.ids.push(id);
      this.events.push(eventSchema.parse(JSON.parse(data)));
    },
  });

  constructor(response: Response) {
    if (response.body === null) throw new Error("There is no stream.");
    this.#reader = response.body.getReader();
  }

  /** Reads one piece. Returns false at the stream's end. */
  async read(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    if (done) return false;
    const text = this.#decoder.decode(value, { stream: true });
    this.text += text;
    this.#parser.feed(text);
    return true;
  }

  /** Reads until an event is as wanted. Returns false if the stream ended before. */
  async until(wanted: (event: Event) => boolean): Promise<boolean> {
    while (!this.events.some(wanted)) if (!(await this.read())) return false;
    return true;
  }

  async toEnd(): Promise<Event[]> {
    while (await this.read());
    return this.events;
  }

  /** Goes away, as a client does that has seen enough. */
  async leave(): Promise<void> {
    await this.#reader.cancel();
  }
}
