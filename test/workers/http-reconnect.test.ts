import fc from "fast-check";
import { expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { eventPage, type SubmitTurnBody } from "../../src/protocol/rest.ts";
import { ask, newSession, read } from "./http-scene.ts";
import { SseClient } from "./http-sse-client.ts";

const SSE = { accept: "text/event-stream" };

async function post(sessionId: string, user_input: SubmitTurnBody["user_input"]): Promise<void> {
  await read(await ask("POST", `sessions/${sessionId}/turns`, { json: { user_input } }));
}

async function follow(sessionId: string, after: string): Promise<SseClient> {
  const headers = { ...SSE, "last-event-id": after };
  return new SseClient(await ask("GET", `sessions/${sessionId}/events`, { headers }));
}

/** The log as one page shows it. */
async function logOf(sessionId: string): Promise<Event[]> {
  return eventPage.parse(await (await ask("GET", `sessions/${sessionId}/events?limit=1000`)).json()).events;
}

/** Cursors are positions of a surface, not part of what happened. */
const withoutCursors = (events: Event[]) => events.map(({ cursor: _, ...rest }) => rest);

/** What a client makes of the pieces that came: each block's text put together, which must fit without a gap. */
function assemble(pieces: Event[]): Event[] {
  const events = new Map<number, Event>();
  for (const piece of pieces) {
    const known = events.get(piece.seq);
    if (piece.type !== "TEXT") {
      expect(known).toBeUndefined();
      events.set(piece.seq, piece);
      continue;
    }
    const before = known?.type === "TEXT" ? known.data.text : "";
    expect(piece.data.offset).toBe(before.length);
    const data = { ...piece.data, text: before + piece.data.text, offset: 0 };
    events.set(piece.seq, { ...piece, data });
  }
  return [...events.values()].sort((a, b) => a.seq - b.seq);
}

test("[LOG4] [BLOCK2] [SSE5] wherever a client is cut off, and while files change, it gets everything once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 12 }), async (cuts) => {
      const { session_id } = await newSession();
      await post(session_id, "Count to 30 at 1 ms, then Write 'x' to a.txt, then Count to 20 at 1 ms");
      const pieces: Event[] = [];
      let after = "0";
      for (const [round, cut] of [...cuts, Number.POSITIVE_INFINITY].entries()) {
        const client = await follow(session_id, after);
        const changing = ask("PUT", `sessions/${session_id}/files/f${round}.txt`, { body: "x" });
        while (client.events.length < cut && !client.events.some(({ type }) => type === "ITERATION_END")) {
          expect(await client.read()).toBe(true);
        }
        await client.leave();
        await read(await changing);
        pieces.push(...client.events);
        after = client.ids.at(-1) ?? after;
        if (client.events.some(({ type }) => type === "ITERATION_END")) break;
      }
      const last = await logOf(session_id);
      const rest = await follow(session_id, after);
      const end = last.at(-1)?.seq ?? 0;
      if (pieces.every(({ seq }) => seq < end)) await rest.until(({ seq }) => seq === end);
      await rest.leave();
      expect(withoutCursors(assemble([...pieces, ...rest.events]))).toEqual(withoutCursors(last));
    }),
    { numRuns: 12 },
  );
}, 30_000);

test("[WS14] [LOG4] a client that takes nothing for a while gets everything once when it reads again", async () => {
  const { session_id } = await newSession();
  const long = "x".repeat(900_000);
  for (let i = 0; i < 4; i++) {
    const json = { user_input: `Say '${long}'` };
    await read(await ask("POST", `sessions/${session_id}/turns?wait=true`, { json }));
  }
  const slow = await follow(session_id, "0");
  await slow.read();
  for (let i = 0; i < 3; i++) {
    await read(await ask("PUT", `sessions/${session_id}/files/f${i}.txt`, { body: "x" }));
  }
  const log = await logOf(session_id);
  await slow.until(({ seq }) => seq === log.length);
  await slow.leave();
  expect(withoutCursors(assemble(slow.events))).toEqual(withoutCursors(log));
});
