/** What every `Gateway` has to do, wherever its sessions live. Each implementation runs these same tests. */
import { describe, expect, test } from "vitest";
import type { Gateway } from "../../src/client/gateway.ts";
import type { Event, EventOf } from "../../src/protocol/events.ts";
import { entriesOf } from "./entries-of.ts";
import { testBusyGateway } from "./gateway-busy-contract.ts";
import { testGatewayFiles } from "./gateway-files-contract.ts";
import { testGatewayUsage } from "./gateway-usage-contract.ts";
import { testWaitingGateway } from "./gateway-waiting-contract.ts";
import { LogFollower } from "./log-follower.ts";

/** Sessions under test, and the gateways onto them. */
export type GatewayHost = {
  gateway: Gateway;
  /** Another one onto the same sessions, for when the first is closed. */
  another(): Promise<Gateway>;
};

export type WithGateway = (run: (host: GatewayHost) => Promise<void>) => Promise<void>;

const MISSING = "session_00000000000000000000000000";
/** Nothing that could be a session's id. */
const NO_ID = "session_1/../x";

const BLOCKS = "Think for 8 words at 5 ms, then say 'ready', then list ., then count to 20 at 5 ms";

const collect = (events: AsyncIterable<Event>): Promise<Event[]> => Array.fromAsync(events);

const textOf = (events: Event[]) =>
  events
    .filter((event): event is EventOf<"TEXT"> => event.type === "TEXT")
    .map(({ data }) => data.text)
    .join("");

/** Events up to and with the first for which `isLast` holds. */
async function until(events: AsyncIterable<Event>, isLast: (event: Event) => boolean): Promise<Event[]> {
  const taken: Event[] = [];
  for await (const event of events) {
    taken.push(event);
    if (isLast(event)) return taken;
  }
  throw new Error("the events ended");
}

const isEnd = ({ type }: Event) => type === "ITERATION_END";

export function testGateway(name: string, withGateway: WithGateway) {
  const withSession = (run: (gateway: Gateway, sessionId: string, host: GatewayHost) => Promise<void>) =>
    withGateway(async (host) => {
      const { session_id } = await host.gateway.createSession({ model: "demo" });
      await run(host.gateway, session_id, host);
    });

  describe(name, () => {
    describe("sessions", () => {
      test("[SESSION1] [SESSION2] a session is what it was created with, and is found again", () =>
        withGateway(async ({ gateway }) => {
          const settings = { model: "demo", title: "mine", metadata: { a: [1, null] }, user_id: "someone" };
          const session = await gateway.createSession(settings);
          expect(session).toMatchObject({ ...settings, status: "idle", last_seq: 0, queued_turns: [] });
          expect(await gateway.resumeSession(session.session_id)).toEqual(session);
          await gateway.runQuery(session.session_id, { user_input: "Say 'hi'" });
          expect(await gateway.resumeSession(session.session_id)).toMatchObject({ status: "idle", last_seq: 5 });
        }));

      test("[SESSION5] the first message names a session that has no title", () =>
        withSession(async (gateway, id) => {
          await gateway.runQuery(id, { user_input: "Say 'hi'\nSay 'ho'" });
          expect(await gateway.resumeSession(id)).toMatchObject({ title: "Say 'hi'" });
        }));

      test("[SESSION9] [REST2] a session that may not be is refused, by field", () =>
        withGateway(async ({ gateway }) => {
          for (const workspace_dir of [`sessions/${MISSING}`, "sessions/x", "../x", "", "relative"]) {
            await expect(gateway.createSession({ workspace_dir })).rejects.toMatchObject({ code: "path_refused" });
          }
          await expect(gateway.createSession({ model: "", max_iterations: 0 })).rejects.toMatchObject({
            code: "invalid_request",
            errors: [expect.objectContaining({ path: "model" }), expect.objectContaining({ path: "max_iterations" })],
          });
          const unknown = { model: "demo", colour: "red" };
          await expect(gateway.createSession(unknown)).rejects.toMatchObject({ code: "invalid_request" });
        }));

      test("[ID2] [SESSION13] what is not there is not found, by whatever id and on every method", () =>
        withGateway(async ({ gateway }) => {
          const hi = { user_input: "Say 'hi'" };
          const turn = "turn_00000000000000000000000000";
          for (const id of [MISSING, NO_ID]) {
            const calls = [
              gateway.resumeSession(id),
              collect(gateway.execute(id, hi)),
              gateway.runQuery(id, hi),
              gateway.cancelTurn(id, turn),
              gateway.cancel(id),
              collect(gateway.events(id, "0")),
              gateway.deleteSession(id),
              gateway.listFiles(id),
              gateway.readFile(id, "a"),
              gateway.writeFile(id, "a", new Uint8Array()),
            ];
            for (const call of await Promise.allSettled(calls)) {
              expect(call).toMatchObject({ status: "rejected", reason: { code: "not_found" } });
            }
          }
        }));

      test("[SESSION11] [SESSION12] lists are narrowed and come in pages, newest activity first", () =>
        withGateway(async ({ gateway }) => {
          const word = `w${Math.random()}`;
          const ids: string[] = [];
          for (const n of [1, 2, 3]) {
            const { session_id } = await gateway.createSession({ model: "demo", title: `Title ${word} ${n}` });
            ids.unshift(session_id);
          }
          const q = word.toUpperCase();
          const [first, second] = [await gateway.listSessions({ q, limit: 2 }), await gateway.listSessions({ q })];
          expect(first.sessions.map(({ session_id }) => session_id)).toEqual(ids.slice(0, 2));
          expect(second.sessions.map(({ session_id }) => session_id)).toEqual(ids);
          const rest = await gateway.listSessions({ q, limit: 2, cursor: first.next_cursor ?? "" });
          expect(rest).toMatchObject({ sessions: [{ session_id: ids[2] }], next_cursor: null });
          expect(second.sessions[0]).toEqual(await gateway.resumeSession(ids[0] ?? ""));
          expect(await gateway.listSessions({ q, status: "running" })).toEqual({ sessions: [], next_cursor: null });
          expect(await gateway.listSessions({ q, user_id: "nobody" })).toMatchObject({ sessions: [] });
          await expect(gateway.listSessions({ cursor: "x" })).rejects.toMatchObject({ code: "bad_cursor" });
          await expect(gateway.listSessions({ limit: 201 })).rejects.toMatchObject({ code: "invalid_request" });
        }));

      test("[SESSION13] [SESSION14] a session that is deleted ends its turn and its streams, and is gone", () =>
        withSession(async (gateway, id) => {
          const seen: Event[] = [];
          const follow = async () => {
            for await (const event of gateway.events(id, "0")) {
              seen.push(event);
              if (event.type === "TOOL_CALL") await gateway.deleteSession(id);
            }
          };
          const turn = gateway.runQuery(id, { user_input: "Wait 60 seconds" });
          const ends = [turn, follow()];
          for (const end of await Promise.allSettled(ends)) {
            expect(end).toMatchObject({ status: "rejected", reason: { code: "not_found" } });
          }
          expect(seen.at(-1)).toMatchObject({ type: "STATUS", data: { status: "deleted" } });
          await expect(gateway.resumeSession(id)).rejects.toMatchObject({ code: "not_found" });
          await expect(gateway.deleteSession(id)).rejects.toMatchObject({ code: "not_found" });
          const { sessions } = await gateway.listSessions({ limit: 200 });
          expect(sessions.filter(({ session_id }) => session_id === id)).toEqual([]);
        }));
    });

    describe("turns", () => {
      test("[TURN1] [CLI8] execute yields its turn from its first event to its last", () =>
        withSession(async (gateway, id) => {
          const events = await collect(gateway.execute(id, { user_input: BLOCKS, metadata: { a: 1 } }));
          expect(events.slice(0, 3)).toMatchObject([
            { seq: 1, type: "SESSION_INFO", data: { session_id: id } },
            { seq: 2, type: "USER_INPUT", data: { text: BLOCKS, metadata: { a: 1 } } },
            { seq: 3, type: "STATUS", data: { status: "processing" } },
          ]);
          expect(events.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "complete" } });
          const log = await until(gateway.events(id, "0"), isEnd);
          expect(entriesOf(events)).toEqual(entriesOf(log));
          expect(new Set(events.map(({ turn_id }) => turn_id)).size).toBe(1);
        }));

      test("[CLI8] nothing is submitted until the first event is asked for", () =>
        withSession(async (gateway, id) => {
          gateway.execute(id, { user_input: "Say 'hi'" });
          expect(await gateway.resumeSession(id)).toMatchObject({ last_seq: 0, status: "idle" });
        }));

      test("[TURN14] a query answers with its turn's result", () =>
        withSession(async (gateway, id) => {
          const user_input = "Write 'x' to work_products/a.txt, then say 'done'";
          const result = await gateway.runQuery(id, { user_input });
          expect(result).toMatchObject({
            session_id: id,
            status: "complete",
            response_text: "done",
            tool_calls: 1,
            work_products: ["work_products/a.txt"],
          });
          // The cursor is the position after the turn's last event.
          await gateway.runQuery(id, { user_input: "Say 'next'" });
          const [next] = await until(gateway.events(id, result.cursor), () => true);
          expect(next).toMatchObject({ type: "SESSION_INFO" });
        }));

      test("[BLOCK8] a step that fails is told of and done again", () =>
        withSession(async (gateway, id) => {
          const user_input = "Say 'once', then fail with 529 1 time, then say ' more'";
          const events = await collect(gateway.execute(id, { user_input }));
          const retry = events.find(({ type, data }) => type === "STATUS" && data.status === "retrying");
          expect(retry).toMatchObject({ data: { attempt: 2, code: "overloaded_error", discard: [4] } });
          expect(textOf(await until(gateway.events(id, "0"), isEnd))).toBe("once more");
        }));

      test("[MODEL8] a turn that fails says why", () =>
        withSession(async (gateway, id) => {
          const events = await collect(gateway.execute(id, { user_input: "Fail with 400" }));
          expect(events.slice(-2)).toMatchObject([
            { type: "ERROR", data: { code: "invalid_request_error", retryable: false } },
            { type: "ITERATION_END", data: { status: "failed" } },
          ]);
        }));

      test("[REST10] [REST11] [REST2] a message that cannot be taken changes nothing", () =>
        withSession(async (gateway, id) => {
          const refused = async (message: { user_input: string }, code: string) => {
            await expect(collect(gateway.execute(id, message))).rejects.toMatchObject({ code });
            await expect(gateway.runQuery(id, message)).rejects.toMatchObject({ code });
          };
          await refused({ user_input: " \n" }, "blank_input");
          const unknown = { user_input: "Say 'hi'", colour: "red" };
          await refused(unknown, "invalid_request");
          const tooMany = { user_input: "Say 'hi'", max_iterations: 0 };
          await refused(tooMany, "invalid_request");
          expect(await gateway.resumeSession(id)).toMatchObject({ last_seq: 0 });
          for await (const { type } of gateway.execute(id, { user_input: "Wait 60 seconds" })) {
            if (type !== "TOOL_CALL") continue;
            const message = { user_input: "Say 'hi'", on_busy: "reject" as const };
            await refused(message, "session_busy");
            await gateway.cancel(id);
          }
        }));

      test("[TURN3] [TURN18] a turn is cancelled while it runs, and while it waits", () =>
        withSession(async (gateway, id) => {
          const ends: Record<string, string> = {};
          const runAndCancel = async (name: string, user_input: string, when: (event: Event) => Promise<boolean>) => {
            for await (const event of gateway.execute(id, { user_input })) {
              if (event.turn_id !== null && (await when(event))) await gateway.cancelTurn(id, event.turn_id);
              if (event.type !== "ITERATION_END") continue;
              ends[name] = event.data.status;
              // One that has ended is left as it is.
              await gateway.cancelTurn(id, event.turn_id ?? "");
            }
          };
          await runAndCancel("running", "Wait 60 seconds", async ({ type }) => {
            if (type !== "TOOL_CALL") return false;
            await runAndCancel("waiting", "Say 'never'", async (event) => event.type === "STATUS");
            return true;
          });
          expect(ends).toEqual({ running: "cancelled", waiting: "cancelled" });
          await gateway.cancelTurn(id, "turn_00000000000000000000000000");
        }));

      test("[REST15] a cancel stops the turn that runs, and the next one starts", () =>
        withSession(async (gateway, id) => {
          expect(await gateway.cancel(id)).toEqual({ turn_id: null });
          let next: Promise<unknown> | null = null;
          for await (const event of gateway.execute(id, { user_input: "Wait 60 seconds" })) {
            if (event.type !== "TOOL_CALL") continue;
            const queued = gateway.execute(id, { user_input: "Say 'hi'" });
            expect((await queued[Symbol.asyncIterator]().next()).value).toMatchObject({ data: { status: "queued" } });
            next = collect(queued).then((events) => events.at(-1));
            expect(await gateway.cancel(id)).toEqual({ turn_id: event.turn_id });
          }
          expect(await next).toMatchObject({ data: { status: "complete" } });
        }));

      test("[TURN19] whoever leaves, or aborts, cancels nothing", () =>
        withSession(async (gateway, id) => {
          for await (const { type } of gateway.execute(id, { user_input: "Count to 20 at 5 ms" })) {
            if (type === "TEXT") break;
          }
          const abort = new AbortController();
          const reason = new Error("enough");
          const watch = async () => {
            for await (const { type } of gateway.execute(id, { user_input: "Say 'hi'" }, { signal: abort.signal })) {
              if (type === "STATUS") abort.abort(reason);
            }
          };
          await expect(watch()).rejects.toBe(reason);
          const ends: Event[] = [];
          await until(gateway.events(id, "0"), (event) => isEnd(event) && ends.push(event) === 2);
          expect(ends).toMatchObject([{ data: { status: "complete" } }, { data: { status: "complete" } }]);
        }));
    });

    describe("the log", () => {
      test("[LOG4] [CURSOR3] from every position the rest follows, without a gap or a repetition", () =>
        withSession(async (gateway, id) => {
          const live: Event[] = [];
          const begun: Promise<Event[]>[] = [];
          for await (const event of gateway.execute(id, { user_input: BLOCKS })) {
            live.push(event);
            // Others begin here, while the turn goes on.
            if (live.length % 5 === 0 && !isEnd(event)) begun.push(until(gateway.events(id, event.cursor), isEnd));
          }
          const whole = entriesOf(live);
          const continued = (taken: number, rest: Event[]) => {
            const follower = new LogFollower("0", 0);
            for (const event of [...live.slice(0, taken), ...rest]) follower.take(event);
            return follower.entries;
          };
          for (const [i, rest] of (await Promise.all(begun)).entries()) {
            expect(continued((i + 1) * 5, rest)).toEqual(whole);
          }
          for (const taken of live.slice(0, -1).keys()) {
            const after = live[taken - 1]?.cursor ?? "0";
            expect(continued(taken, await until(gateway.events(id, after), isEnd))).toEqual(whole);
          }
        }));

      test("[CURSOR6] a cursor that is none, or beyond the log, is refused", () =>
        withSession(async (gateway, id) => {
          for (const cursor of ["", "x", "1", "0~1.0"]) {
            await expect(collect(gateway.events(id, cursor))).rejects.toMatchObject({ code: "bad_cursor" });
          }
        }));

      test("[LOG3] whoever follows a session sees what others do there", () =>
        withSession(async (gateway, id) => {
          const following = until(gateway.events(id, "0"), isEnd);
          await gateway.writeFile(id, "a.txt", new Uint8Array([97]));
          const executed = await collect(gateway.execute(id, { user_input: "Count to 10 at 2 ms" }));
          const seen = await following;
          expect(seen[0]).toMatchObject({ seq: 1, type: "STATUS", turn_id: null, data: { path: "a.txt" } });
          expect(entriesOf(seen).get(5)).toEqual(entriesOf([...seen.slice(0, 1), ...executed]).get(5));
        }));
    });

    describe("the gateway itself", () => {
      test("[REST7] says how it is", () =>
        withGateway(async ({ gateway }) => {
          const health = await gateway.health();
          expect(health).toEqual({
            status: "healthy",
            version: expect.stringMatching(/^\d+\.\d+\.\d+/),
            model: "demo",
            checks: { d1: "ok", r2: "ok" },
          });
        }));

      test("[LOCAL1] a call whose signal is aborted throws the signal's reason", () =>
        withSession(async (gateway, id) => {
          const reason = new Error("enough");
          const options = { signal: AbortSignal.abort(reason) };
          const hi = { user_input: "Say 'hi'" };
          const calls = [
            gateway.createSession({}, options),
            gateway.resumeSession(id, options),
            collect(gateway.execute(id, hi, options)),
            gateway.runQuery(id, hi, options),
            collect(gateway.events(id, "0", options)),
            gateway.listFiles(id, {}, options),
            gateway.listSessions({}, options),
            gateway.health(options),
          ];
          for (const call of await Promise.allSettled(calls)) expect(call).toEqual({ status: "rejected", reason });
          expect(await gateway.resumeSession(id)).toMatchObject({ last_seq: 0 });
        }));

      test("[LOCAL1] once closed it is unavailable, and the turns go on", () =>
        withSession(async (gateway, id, { another }) => {
          const ends: Promise<unknown>[] = [];
          const expectEnd = (end: Promise<unknown>) => {
            // It may come before it is awaited.
            end.catch(() => {});
            ends.push(end);
          };
          expectEnd(collect(gateway.events(id, "0")));
          const executing = async () => {
            for await (const { type } of gateway.execute(id, { user_input: "Count to 20 at 10 ms" })) {
              if (type === "STATUS") expectEnd(gateway.runQuery(id, { user_input: "Say 'hi'" }));
              if (type === "TEXT") await gateway.close();
            }
          };
          await expect(executing()).rejects.toMatchObject({ code: "unavailable" });
          for (const end of await Promise.allSettled(ends)) {
            expect(end).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
          }
          await expect(gateway.resumeSession(id)).rejects.toMatchObject({ code: "unavailable" });
          await expect(gateway.createSession()).rejects.toMatchObject({ code: "unavailable" });
          await gateway.close();
          const next = await another();
          const log = await until(next.events(id, "0"), isEnd);
          expect(log.at(-1)).toMatchObject({ data: { status: "complete" } });
          expect(textOf(log)).toMatch(/^1 2 .* 20 $/);
          await next.close();
        }));
    });

    testBusyGateway(withSession);
    testGatewayFiles(withSession);
    testGatewayUsage(withSession);
    testWaitingGateway(withGateway);
  });
}
