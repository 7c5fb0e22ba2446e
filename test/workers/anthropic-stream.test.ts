import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  block,
  bytes,
  encodeReply,
  event,
  eventData,
  head,
  hold,
  inPieces,
  message,
  ping,
  type Reply,
  redactedThinking,
  stall,
  text,
  thinking,
  toolUse,
} from "../support/messages-script.ts";
import { call, readAll, scripted } from "./anthropic-scene.ts";

const RICH = message(
  [
    thinking("Ich überlege: 🤔 …", "c2lnbmF0dXJl", 3),
    redactedThinking("b3BhcXVl"),
    text(""),
    text("Zwei Schritte. 你好 👋🏽", 4),
    toolUse("toolu_1", "write", { path: "a/ü.txt", text: "x\n😀" }, 2),
    toolUse("toolu_2", "list", {}),
    block({ type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } }),
  ],
  { usage: { input_tokens: 7, output_tokens: 42, cache_read_input_tokens: 3, cache_creation_input_tokens: 2 } },
);

const ascending = (a: number, b: number) => a - b;

describe("the stream", () => {
  test("[MODEL1] the server's events arrive exactly as it sent them", async () => {
    const { model } = await scripted(RICH);
    expect(await readAll(model)).toEqual(eventData(RICH));
  });

  test("[MODEL20] pings and events of unknown types are handed on, since they show that the server is alive", async () => {
    const reply = [ping, ...message([text("Hi")]).toSpliced(1, 0, ping, event({ type: "news", of: [1, 2] }))];
    const { model } = await scripted(reply);
    expect(await readAll(model)).toEqual(eventData(reply));
  });

  test("[MODEL19] any cut of the bytes gives the same events", async () => {
    const anyCuts = fc.uniqueArray(fc.nat(encodeReply(RICH).length), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(anyCuts, async (cuts) => {
        const { model } = await scripted(inPieces(RICH, cuts.toSorted(ascending)));
        expect(await readAll(model)).toEqual(eventData(RICH));
      }),
      { numRuns: 25 },
    );
  });

  test("[MODEL19] a cut inside a character, across which the server waits, loses nothing", async () => {
    const reply = message([text("😀")]);
    const whole = encodeReply(reply);
    // The first byte beyond ASCII begins the character.
    const inside = whole.findIndex((byte) => byte > 0x7f) + 2;
    const pieces = [bytes(whole.slice(0, inside)), hold("half a character"), bytes(whole.slice(inside))];
    const { model, server } = await scripted(pieces);
    const events: unknown[] = [];
    for await (const one of call(model)) {
      events.push(one);
      // The start of the block has come, and with it, in the same piece, the first half of the character.
      if (events.length === 2) await server.release("half a character");
    }
    expect(events).toEqual(eventData(reply));
  });

  test("[MODEL10] a stream that ends cleanly before message_stop just ends", async () => {
    const reply = message([text("Half a message", 4)]).slice(0, 4);
    const { model } = await scripted(reply);
    expect(await readAll(model)).toEqual(eventData(reply));
  });

  test("[MODEL10] an event whose bytes did not all come is none", async () => {
    const reply = message([text("Hi")]);
    const { model } = await scripted([bytes(encodeReply(reply).slice(0, -1))]);
    expect(await readAll(model)).toEqual(eventData(reply).slice(0, -1));
  });

  test.each([
    "end_turn",
    "stop_sequence",
    "tool_use",
    "max_tokens",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
  ])("[MODEL1] the stop reason %s and its details arrive", async (stopReason) => {
    const reply = message([text("Hi")], { stopReason, stopDetails: { type: stopReason, category: "cyber" } });
    const { model } = await scripted(reply);
    expect(await readAll(model)).toEqual(eventData(reply));
  });
});

describe("abort", () => {
  const reason = new Error("The turn was cancelled.");

  test.each([
    ["before the headers", [stall]],
    ["after the headers", [head(200, { "content-type": "text/event-stream" }), stall]],
  ] satisfies [string, Reply][])(
    "[MODEL26] %s closes the connection and throws the signal's reason",
    async (_, reply) => {
      const scene = await scripted(reply);
      const controller = new AbortController();
      const reading = readAll(scene.model, { signal: controller.signal });
      const outcome = expect(reading).rejects.toBe(reason);
      await scene.server.requests(1);
      controller.abort(reason);
      await outcome;
      expect(await scene.server.closed(0)).toBe("client");
    },
  );

  test.each([
    ["between two events", [ping, stall]],
    ["in the middle of an event", [ping, bytes("event: ping\nda"), stall]],
  ] satisfies [string, Reply][])(
    "[MODEL26] %s closes the connection and throws the signal's reason",
    async (_, reply) => {
      const { model, server } = await scripted(reply);
      const controller = new AbortController();
      const reading = async () => {
        for await (const _event of call(model, { signal: controller.signal })) controller.abort(reason);
      };
      await expect(reading()).rejects.toBe(reason);
      expect(await server.closed(0)).toBe("client");
    },
  );

  test("[MODEL26] a call whose signal is aborted already asks the server nothing", async () => {
    const scene = await scripted(message([text("Hi")]));
    await expect(readAll(scene.model, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await scene.server.requests()).toEqual([]);
  });

  test("[MODEL26] whoever stops reading closes the connection", async () => {
    const scene = await scripted([...message([text("Hi")]).slice(0, 2), stall]);
    for await (const _ of call(scene.model)) break;
    expect(await scene.server.closed(0)).toBe("client");
  });
});
