import { describe, expect, test } from "vitest";
import type { Gateway } from "../../src/client/gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import { entriesOf } from "./entries-of.ts";
import type { GatewayHost } from "./gateway-contract.ts";

type WithSession = (run: (gateway: Gateway, sessionId: string, host: GatewayHost) => Promise<void>) => Promise<void>;

const collect = (events: AsyncIterable<Event>): Promise<Event[]> => Array.fromAsync(events);
const endOf = (events: Event[]) => events.flatMap(({ type, data }) => (type === "ITERATION_END" ? [data.status] : []));

/** Goes on for ten seconds, in steps so short that whoever steers it has its end at once. */
const STEERABLE = { user_input: Array(200).fill("Wait 0.05 seconds").join("; "), max_iterations: 1_000 };

/** Runs a turn, and does something when its first tool call is seen. Returns its events. */
async function whileRunning(
  gateway: Gateway,
  id: string,
  message: { user_input: string },
  act: () => Promise<void>,
): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of gateway.execute(id, message)) {
    events.push(event);
    if (event.type === "TOOL_CALL" && events.filter(({ type }) => type === "TOOL_CALL").length === 1) await act();
  }
  return events;
}

/** The inputs of the session's first turns, of which so many have ended. */
async function inputsOf(gateway: Gateway, id: string, turns: number): Promise<string[]> {
  const events: Event[] = [];
  for await (const event of gateway.events(id, "0")) {
    events.push(event);
    if (endOf(events).length === turns) break;
  }
  return events.flatMap(({ type, data }) => (type === "USER_INPUT" ? [data.text] : []));
}

/** Submits a message, and leaves its turn to itself. Returns the turn's id. */
async function leave(events: AsyncIterable<Event>): Promise<string> {
  for await (const { turn_id } of events) return turn_id ?? "";
  throw new Error("the events ended");
}

/** What every `Gateway` does with messages to a session whose turn runs. */
export function testBusyGateway(withSession: WithSession) {
  describe("a busy session", () => {
    test("[TURN4] waits for its turn, and each caller sees its own alone", () =>
      withSession(async (gateway, id) => {
        const first: Event[] = [];
        const second: Event[] = [];
        const runSecond = async () => {
          for await (const event of gateway.execute(id, { user_input: "Say 'second'" })) {
            // Its place in the queue is known: the first one need not go on.
            if (second.push(event) === 1) await gateway.cancel(id);
          }
        };
        let ended = Promise.resolve();
        for await (const event of gateway.execute(id, { user_input: "Wait 60 seconds" })) {
          if (first.push(event) === 1) ended = runSecond();
        }
        await ended;
        for (const events of [first, second]) expect(new Set(events.map(({ turn_id }) => turn_id)).size).toBe(1);
        expect([first[0]?.type, second[0]?.type]).toEqual(["SESSION_INFO", "STATUS"]);
        const all = [...first, ...second].sort((a, b) => a.seq - b.seq);
        const log: Event[] = [];
        for await (const event of gateway.events(id, "0")) {
          log.push(event);
          if (event.seq === all.at(-1)?.seq) break;
        }
        expect(entriesOf(all)).toEqual(entriesOf(log));
      }));

    test("[TURN22] [REST11] is interrupted: the turn ends, and the message goes before those that wait", () =>
      withSession(async (gateway, id) => {
        let others: Promise<Event[]> | null = null;
        const first = await whileRunning(gateway, id, { user_input: "Wait 60 seconds" }, async () => {
          await leave(gateway.execute(id, { user_input: "Say 'last'" }));
          others = collect(gateway.execute(id, { user_input: "Say 'next'", on_busy: "interrupt" }));
        });
        const next = (await others) ?? [];
        expect(next[0]).toMatchObject({ data: { status: "queued", text: "Say 'next'", position: 1 } });
        expect([first, next].map(endOf)).toEqual([["cancelled"], ["complete"]]);
        expect(await inputsOf(gateway, id, 3)).toEqual(["Wait 60 seconds", "Say 'next'", "Say 'last'"]);
        const { response_text } = await gateway.runQuery(id, { user_input: "Say 'idle'", on_busy: "interrupt" });
        expect(response_text).toBe("idle");
      }));

    test("[TURN23] [REST20] [WAIT2] is steered: whoever does that has the turn that runs, from its beginning", () =>
      withSession(async (gateway, id) => {
        const on_busy = "steer";
        const isSteered = ({ data }: Event) => "status" in data && data.status === "steered";
        let query: Promise<unknown> | null = null;
        let others: Promise<Event[]> | null = null;
        const steer = async () => {
          const events: Event[] = [];
          for await (const event of gateway.execute(id, { user_input: STEERABLE.user_input, on_busy })) {
            events.push(event);
            // It goes on: whoever joins next is in time, and has its end.
            if (isSteered(event)) query ??= gateway.runQuery(id, { user_input: "Say 'steered'", on_busy });
          }
          return events;
        };
        const running = await whileRunning(gateway, id, STEERABLE, async () => {
          others = steer();
        });
        expect(entriesOf((await others) ?? [])).toEqual(entriesOf(running));
        const result = await query;
        const steered = running.filter(isSteered);
        expect(steered).toMatchObject([STEERABLE.user_input, "Say 'steered'"].map((text) => ({ data: { text } })));
        expect(result).toMatchObject({ status: "complete", turn_id: running[0]?.turn_id });
        expect(await gateway.resumeSession(id)).toMatchObject({ status: "idle", queued_turns: [] });
        const { response_text } = await gateway.runQuery(id, { user_input: "Say 'idle'", on_busy: "steer" });
        expect(response_text).toBe("idle");
      }));

    test("[TURN25] [TURN3] [SESSION4] what had not joined waits, is listed, and can be taken out, like all that waits", () =>
      withSession(async (gateway, id, { another }) => {
        const running = gateway.execute(id, { user_input: "Wait 60 seconds" })[Symbol.asyncIterator]();
        for (let next = await running.next(); next.value?.type !== "TOOL_CALL"; next = await running.next());
        const queued = await leave(gateway.execute(id, { user_input: "Say 'queued'" }));
        await leave(gateway.execute(id, { user_input: "Say 'steered'", on_busy: "steer" }));
        const busy = { user_input: "Wait 60 seconds", on_busy: "interrupt" as const };
        const interrupting = gateway.execute(id, busy)[Symbol.asyncIterator]();
        for (let next = await interrupting.next(); next.value?.type !== "TOOL_CALL"; next = await interrupting.next());
        const { queued_turns, active_turn } = await gateway.resumeSession(id);
        expect(queued_turns).toEqual([expect.stringMatching(/^turn_/), queued]);
        // Also once they were opened again.
        await gateway.close();
        const next = await another();
        expect(await next.resumeSession(id)).toMatchObject({ queued_turns, active_turn });
        await next.cancelTurn(id, queued_turns[0] ?? "");
        expect(await next.resumeSession(id)).toMatchObject({ queued_turns: [queued], active_turn });
        expect(await next.cancel(id)).toEqual({ turn_id: active_turn });
        // The one that was taken out never begins.
        expect(await inputsOf(next, id, 4)).toEqual(["Wait 60 seconds", "Wait 60 seconds", "Say 'queued'"]);
        await next.close();
      }));

    test("[REST15] [TURN18] is cancelled by as many as like, whenever: each is told which turn that was, or none", () =>
      withSession(async (gateway, id) => {
        const said: (string | null)[] = [];
        for (const user_input of ["Say 'hi'", "Count to 3", "Wait 60 seconds", "List ."]) {
          let turnId: string | null = null;
          const cancels: Promise<unknown>[] = [];
          for await (const event of gateway.execute(id, { user_input })) {
            turnId = event.turn_id;
            const cancel = () => gateway.cancel(id).then(({ turn_id }) => said.push(turn_id));
            cancels.push(cancel(), cancel());
          }
          await Promise.all(cancels);
          expect(new Set([turnId, null, ...said.splice(0)])).toEqual(new Set([turnId, null]));
        }
        expect(await gateway.runQuery(id, { user_input: "Say 'on'" })).toMatchObject({ status: "complete" });
      }));
  });
}
