import { describe, expect, test } from "vitest";
import type { Gateway, RunTool } from "../../src/client/gateway.ts";
import type { Event, EventOf } from "../../src/protocol/events.ts";
import { TOOL_RESULT_MAX_CHARS } from "../../src/protocol/limits.ts";
import type { CreateSessionBody, Session } from "../../src/protocol/rest.ts";
import { entriesOf } from "./entries-of.ts";
import type { WithGateway } from "./gateway-contract.ts";

const LAMP = { name: "lamp", description: "Turns the lamp on or off.", input_schema: { type: "object" } };
const BELL = { ...LAMP, name: "bell", description: "Rings the bell." };
const ASKS_TO_WRITE: CreateSessionBody = { model: "demo", permissions: { write: "ask" } };
const HAS_TOOLS: CreateSessionBody = { model: "demo", tools: [LAMP, BELL] };

const WRITE = { user_input: "Write 'x' to a.txt, then say 'done'" };
const CALL_LAMP = { user_input: "Call lamp with {\"on\":true}, then say 'done'" };

type Asked = EventOf<"AUTH_REQUIRED">["data"];

const collect = (events: AsyncIterable<Event>): Promise<Event[]> => Array.fromAsync(events);

const resultsOf = (events: Event[]) => events.flatMap(({ type, data }) => (type === "TOOL_RESULT" ? [data] : []));
const endOf = (events: Event[]) => events.flatMap(({ type, data }) => (type === "ITERATION_END" ? [data.status] : []));
const isWaiting = ({ type, data }: Event) => type === "STATUS" && data.status === "waiting";

/** What people are asked. */
const askedBy = ({ pending_inputs }: Session) => pending_inputs.flatMap((one) => ("input_id" in one ? [one] : []));

/** Runs a turn, and answers what people are asked. */
async function answering(
  gateway: Gateway,
  id: string,
  message: { user_input: string },
  answer: (asked: Asked) => Promise<unknown>,
): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of gateway.execute(id, message)) {
    events.push(event);
    if (event.type === "AUTH_REQUIRED") await answer(event.data);
  }
  return events;
}

/** A tool that notes its calls, and what becomes of their signals. */
function noting(run: RunTool) {
  const calls: { input: unknown; id: string; signal: AbortSignal }[] = [];
  const tool: RunTool = (input, call) => {
    calls.push({ input, id: call.tool_use_id, signal: call.signal });
    return run(input, call);
  };
  return { calls, tool };
}

/** Resolves once a signal is aborted. */
const abortOf = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve());
  });

/** Comes to its end when its signal is aborted. */
const untilAborted: RunTool = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

/** What every `Gateway` does with turns that wait for people and for clients. */
export function testWaitingGateway(withGateway: WithGateway) {
  const withSession = (settings: CreateSessionBody, run: (gateway: Gateway, id: string) => Promise<void>) =>
    withGateway(async ({ gateway }) => {
      const { session_id } = await gateway.createSession(settings);
      await run(gateway, session_id);
    });

  describe("a turn that asks people", () => {
    test("[ASK11] [ASK18] [SESSION2] waits until it is allowed, and then goes on", () =>
      withSession(ASKS_TO_WRITE, async (gateway, id) => {
        const events = await answering(gateway, id, WRITE, async (asked) => {
          const input = await gateway.input(id, asked.input_id);
          expect(input).toMatchObject({ kind: "approval", tool: "write", status: "pending", response: null });
          expect(input.tool_use_id).toBe(asked.tool_use_id);
          expect(await gateway.listFiles(id)).toMatchObject({ files: [] });
          const { pending_inputs, active_turn } = await gateway.resumeSession(id);
          expect(pending_inputs).toEqual([{ input_id: asked.input_id, kind: "approval" }]);
          const answer = { input_id: asked.input_id, turn_id: active_turn, response: "allow" };
          expect(await gateway.answer(id, asked.input_id, "allow")).toEqual(answer);
          expect(await gateway.answer(id, asked.input_id, "allow")).toEqual(answer);
          expect(await gateway.input(id, asked.input_id)).toMatchObject({ status: "settled", response: "allow" });
          await expect(gateway.answer(id, asked.input_id, "deny")).rejects.toMatchObject({ code: "already_answered" });
        });
        expect(resultsOf(events)).toMatchObject([{ is_error: false }]);
        expect(endOf(events)).toEqual(["complete"]);
        expect(await gateway.resumeSession(id)).toMatchObject({ status: "idle", pending_inputs: [] });
        expect(await gateway.listFiles(id)).toMatchObject({ files: [{ path: "a.txt" }] });
      }));

    test("[ASK11] [ASK6] does nothing that was not allowed", () =>
      withSession({ ...ASKS_TO_WRITE, permissions: { write: "ask", list: "deny" } }, async (gateway, id) => {
        const message = { user_input: "List ., then write 'x' to a.txt, then say 'done'" };
        const events = await answering(gateway, id, message, ({ input_id }) => gateway.answer(id, input_id, "deny"));
        expect(resultsOf(events)).toMatchObject([{ is_error: true }, { is_error: true }]);
        expect(events.at(-1)).toMatchObject({ data: { status: "complete" } });
        expect(await gateway.listFiles(id)).toMatchObject({ files: [] });
      }));

    test("[ASK15] [ASK11] takes any text for an answer to a question", () =>
      withSession({ model: "demo" }, async (gateway, id) => {
        const answer = "as you like 🚀\n";
        const events = await answering(gateway, id, { user_input: "Ask 'Which one?'" }, async (asked) => {
          expect(asked).toMatchObject({ kind: "question", message: "Which one?", default: null });
          await gateway.answer(id, asked.input_id, answer);
        });
        expect(resultsOf(events)).toMatchObject([{ is_error: false, content_preview: answer }]);
      }));

    test("[ASK12] [ASK19] [ID2] what cannot be answered, or was asked of nobody, changes nothing", () =>
      withSession(ASKS_TO_WRITE, async (gateway, id) => {
        const missing = "input_00000000000000000000000000";
        const events = await answering(gateway, id, WRITE, async ({ input_id, tool_use_id }) => {
          await expect(gateway.answer(id, input_id, "perhaps")).rejects.toMatchObject({ code: "invalid_request" });
          const tooLong = "x".repeat(TOOL_RESULT_MAX_CHARS + 1);
          await expect(gateway.answer(id, input_id, tooLong)).rejects.toMatchObject({ code: "invalid_request" });
          for (const [sessionId, inputId] of [
            [id, missing],
            [id, "../x"],
            ["session_00000000000000000000000000", input_id],
          ] as const) {
            const calls = [
              gateway.input(sessionId, inputId),
              gateway.answer(sessionId, inputId, "allow"),
              gateway.giveToolResult(sessionId, inputId, { content: "" }),
            ];
            for (const call of await Promise.allSettled(calls)) {
              expect(call).toMatchObject({ status: "rejected", reason: { code: "not_found" } });
            }
          }
          // It is no client's tool.
          const given = gateway.giveToolResult(id, tool_use_id, { content: "x" });
          await expect(given).rejects.toMatchObject({ code: "not_found" });
          await gateway.answer(id, input_id, "deny");
        });
        expect(endOf(events)).toEqual(["complete"]);
      }));

    test("[CLIENT8] [ASK14] a query answers where its turn waits, which can be cancelled then", () =>
      withSession(ASKS_TO_WRITE, async (gateway, id) => {
        const waiting = await gateway.runQuery(id, WRITE);
        const [pending] = waiting.pending_inputs;
        expect(waiting).toMatchObject({ status: "waiting", response_text: "" });
        const asked = await gateway.resumeSession(id);
        expect(asked).toMatchObject({
          status: "waiting",
          active_turn: waiting.turn_id,
          pending_inputs: [pending],
        });
        // One that joins it waits already.
        const joined = await gateway.runQuery(id, { user_input: "Say 'more'", on_busy: "steer" });
        expect(joined).toMatchObject({ turn_id: waiting.turn_id, status: "waiting" });
        expect(await gateway.cancel(id)).toEqual({ turn_id: waiting.turn_id });
        const [{ input_id: inputId } = { input_id: "" }] = askedBy(asked);
        await expect(gateway.answer(id, inputId, "allow")).rejects.toMatchObject({ code: "already_answered" });
        expect(await gateway.input(id, inputId)).toMatchObject({ status: "settled", response: null });
        expect(await gateway.listFiles(id)).toMatchObject({ files: [] });
      }));

    test("[ASK14] [TURN3] one that waits is cancelled by its id", () =>
      withSession(ASKS_TO_WRITE, async (gateway, id) => {
        const { turn_id } = await gateway.runQuery(id, WRITE);
        await gateway.cancelTurn(id, turn_id);
        const { status, active_turn } = await gateway.resumeSession(id);
        expect({ status, active_turn }).toEqual({ status: "idle", active_turn: null });
      }));

    test("[ASK12] of many answers at once one settles it, for everyone", () =>
      withSession(ASKS_TO_WRITE, async (gateway, id) => {
        const events = await answering(gateway, id, WRITE, async ({ input_id }) => {
          const responses = ["allow", "deny", "allow", "deny", "deny", "allow"];
          const answers = responses.map((response) => gateway.answer(id, input_id, response));
          const outcomes = await Promise.allSettled(answers);
          const { response: settled } = await gateway.input(id, input_id);
          for (const [i, outcome] of outcomes.entries()) {
            expect(outcome).toMatchObject(
              responses[i] === settled ? { status: "fulfilled" } : { reason: { code: "already_answered" } },
            );
          }
        });
        expect(events.filter(({ type, data }) => type === "STATUS" && data.status === "answered")).toHaveLength(1);
        expect(endOf(events)).toEqual(["complete"]);
      }));
  });

  describe("a turn that calls a client's tools", () => {
    test("[CLIENT1] [ASK17] each call is run once, and answered", () =>
      withSession(HAS_TOOLS, async (gateway, id) => {
        const lamp = noting(async () => "It is on.");
        const bell = noting(() => {
          throw new Error("There is no bell.");
        });
        const user_input = 'At once: call lamp with {"on":true} & call bell with {}, then call lamp with {"on":false}';
        const tools = { lamp: lamp.tool, bell: bell.tool };
        const events = await collect(gateway.execute(id, { user_input, tools }));
        expect(lamp.calls.map(({ input }) => input)).toEqual([{ on: true }, { on: false }]);
        expect(bell.calls).toHaveLength(1);
        const results = resultsOf(events);
        const shown = results.map(({ content_preview, is_error }) => [content_preview, is_error]);
        expect(shown.slice(0, 2).toSorted()).toEqual([
          ["It is on.", false],
          ["There is no bell.", true],
        ]);
        expect(shown.slice(2)).toEqual([["It is on.", false]]);
        expect(endOf(events)).toEqual(["complete"]);
        const log: Event[] = [];
        for await (const event of gateway.events(id, "0")) {
          log.push(event);
          if (event.type === "ITERATION_END") break;
        }
        expect(entriesOf(events)).toEqual(entriesOf(log));
        // The same again is no error, anything else is.
        const [first] = lamp.calls;
        await gateway.giveToolResult(id, first?.id ?? "", { content: "It is on." });
        const other = gateway.giveToolResult(id, first?.id ?? "", { content: "It is off." });
        await expect(other).rejects.toMatchObject({ code: "already_answered" });
      }));

    test.for<[string, RunTool, RegExp]>([
      ["what is too long", () => "x".repeat(TOOL_RESULT_MAX_CHARS + 1), /300001 characters/],
      ["what is too large for a request", () => "\u0001".repeat(TOOL_RESULT_MAX_CHARS), /too large|^\p{Cc}+$/u],
      ["what is thrown and says nothing", () => Promise.reject(undefined), /failed/],
      // From a program without types.
      ["what is no text", () => JSON.parse("1"), /no text/],
    ])("[CLIENT1] %s comes to a result all the same", ([, run, words]) =>
      withSession(HAS_TOOLS, async (gateway, id) => {
        const events = await collect(gateway.execute(id, { ...CALL_LAMP, tools: { lamp: run } }));
        expect(resultsOf(events)).toMatchObject([{ content_preview: expect.stringMatching(words) }]);
        expect(endOf(events)).toEqual(["complete"]);
      }),
    );

    test("[CLIENT2] [ASK17] one that must be allowed is run once it is, and one that was not is not", () =>
      withSession({ ...HAS_TOOLS, permissions: { lamp: "ask" } }, async (gateway, id) => {
        const user_input = 'Call lamp with {"n":1}, then call lamp with {"n":2}';
        const lamp = noting(() => "lit");
        const events: Event[] = [];
        for await (const event of gateway.execute(id, { user_input, tools: { lamp: lamp.tool } })) {
          events.push(event);
          if (!isWaiting(event)) continue;
          for (const { input_id, kind } of askedBy(await gateway.resumeSession(id))) {
            if (kind !== "approval") continue;
            const { tool_use_id } = await gateway.input(id, input_id);
            const early = gateway.giveToolResult(id, tool_use_id, { content: "lit" });
            await expect(early).rejects.toMatchObject({ code: "session_busy" });
            await gateway.answer(id, input_id, lamp.calls.length === 0 ? "allow" : "deny");
          }
        }
        expect(lamp.calls.map(({ input }) => input)).toEqual([{ n: 1 }]);
        expect(resultsOf(events)).toMatchObject([{ content_preview: "lit" }, { is_error: true }]);
      }));

    test("[CLIENT3] a tool that is not this caller's is left to others, and a run that others answer is aborted", () =>
      withSession(HAS_TOOLS, async (gateway, id) => {
        const lamp = noting(untilAborted);
        const user_input = "At once: call lamp with {} & call bell with {}";
        const events: Event[] = [];
        for await (const event of gateway.execute(id, { user_input, tools: { lamp: lamp.tool } })) {
          events.push(event);
          if (!isWaiting(event)) continue;
          for (const { data } of events.filter((one) => one.type === "TOOL_CALL")) {
            if ("id" in data) await gateway.giveToolResult(id, data.id, { content: `another's ${data.name}` });
          }
        }
        const previews = resultsOf(events).map(({ content_preview }) => content_preview);
        expect(previews).toEqual(["another's lamp", "another's bell"]);
        for (const { signal } of lamp.calls) expect(signal.aborted).toBe(true);
      }));

    test("[CLIENT3] a run is aborted when its turn is cancelled, when its caller leaves, and when that aborts", () =>
      withSession(HAS_TOOLS, async (gateway, id) => {
        const abort = new AbortController();
        const reason = new Error("enough");
        const ends: Record<string, () => Promise<boolean>> = {
          cancel: async () => {
            await gateway.cancel(id);
            return false;
          },
          leave: async () => true,
          abort: async () => {
            abort.abort(reason);
            return false;
          },
        };
        for (const [name, end] of Object.entries(ends)) {
          const begun = Promise.withResolvers<AbortSignal>();
          const lamp: RunTool = (input, call) => {
            begun.resolve(call.signal);
            return untilAborted(input, call);
          };
          const running = (async () => {
            const options = { signal: abort.signal };
            for await (const event of gateway.execute(id, { ...CALL_LAMP, tools: { lamp } }, options)) {
              if (!isWaiting(event)) continue;
              await begun.promise;
              if (await end()) return;
            }
          })();
          if (name === "abort") await expect(running).rejects.toBe(reason);
          else await running;
          await abortOf(await begun.promise);
          const { pending_inputs } = await gateway.resumeSession(id);
          // What it came to then was given to nobody.
          expect(pending_inputs).toHaveLength(name === "cancel" ? 0 : 1);
          await gateway.cancel(id);
        }
      }));

    test("[CLIENT4] whoever joins the turn runs what still waits, and nothing that was answered before", () =>
      withSession(HAS_TOOLS, async (gateway, id) => {
        const user_input = 'Call lamp with {"n":1}, then call lamp with {"n":2}';
        const waiting = await gateway.runQuery(id, { user_input });
        const [pending] = waiting.pending_inputs;
        await gateway.giveToolResult(id, pending?.kind === "tool" ? pending.tool_use_id : "", { content: "one" });
        const second = new Set<string>();
        for await (const { type, data } of gateway.events(id, waiting.cursor)) {
          if (type === "TOOL_CALL") second.add(data.id);
          if (second.size > 0 && type === "STATUS" && data.status === "waiting") break;
        }
        const lamp = noting(() => "two");
        const message = { user_input: "Say 'more'", on_busy: "steer" as const, tools: { lamp: lamp.tool } };
        const events = await collect(gateway.execute(id, message));
        expect(lamp.calls.map(({ input }) => input)).toEqual([{ n: 2 }]);
        expect(resultsOf(events).map(({ content_preview }) => content_preview)).toEqual(["one", "two"]);
      }));

    test("[CLIENT6] events come while tools run, and a caller that waits for a tool's run gets it", () =>
      withSession(HAS_TOOLS, async (gateway, id) => {
        const release = Promise.withResolvers<string>();
        const begun = Promise.withResolvers<void>();
        const lamp: RunTool = () => {
          begun.resolve();
          return release.promise;
        };
        const seqs: number[] = [];
        for await (const event of gateway.execute(id, { ...CALL_LAMP, tools: { lamp } })) {
          seqs.push(event.seq);
          if (event.type === "TOOL_CALL") await begun.promise;
          // It is there while the tool runs.
          if (isWaiting(event)) release.resolve("at last");
        }
        expect(seqs).toEqual([...seqs].toSorted((a, b) => a - b));
      }));
  });
}
