import { type Event, event as eventSchema } from "../../protocol/events.ts";

const LINE_END = /\r\n|\n|\r/;

/**
 * The events of a body of server-sent events as SPEC.md, SSE2 has them: `id:` is the event's cursor, `data:` the event
 * on one line, and there is nothing else but comments. A body that breaks off ends.
 *
 * @throws Error for anything else
 */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  let rest = "";
  let id: string | null = null;
  let found: Event | null = null;
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split(LINE_END);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("data: ")) found = eventSchema.parse(JSON.parse(line.slice(6)));
      else if (line === "" && found !== null) {
        if (id !== found.cursor)
          throw new Error(`event ${found.seq} came with the id ${id}, its cursor is ${found.cursor}`);
        yield found;
        [id, found] = [null, null];
      } else if (line !== "" && !line.startsWith(":"))
        throw new Error(`the stream has the line ${JSON.stringify(line)}`);
    }
  }
}
