import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Event } from "../../src/protocol/events.ts";
import { parsePage } from "../support/event-page.ts";
import {
  type BlockSpec,
  encodeReply,
  hold,
  inPieces,
  message,
  type Reply,
  text,
  thinking,
  toolUse,
} from "../support/messages-script.ts";
import { createClaudeScene } from "./claude-scene.ts";
import { ADMIN_TOKEN, ask, read } from "./http-scene.ts";
import { charsOf, contentOf, viewOf } from "./log-view.ts";
import { ADMIN, unwrap } from "./session-scene.ts";
import { Follower, overSocket, overSse, type Transport } from "./stream-follower.ts";
import { charsIn } from "./stream-reply.ts";

/** What happens while the model's stream is held. */
const happening = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("cut" as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("put a file" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("queue a message" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("join" as const) }) },
);

const block = fc.record({
  kind: fc.constantFrom("text" as const, "thinking" as const),
  // Whole characters, many of them two code units long; the cuts fall anywhere, between those two as well.
  value: fc.string({ unit: "binary", minLength: 1, maxLength: 30 }),
  cuts: fc.array(fc.nat({ max: 30 }), { maxLength: 6 }),
});

const plan = fc.record({
  blocks: fc.array(block, { minLength: 1, maxLength: 3 }),
  tool: fc.boolean(),
  /** How many bytes of the model's stream come at a time. */
  bytes: fc.oneof(fc.integer({ min: 5, max: 300 }), fc.constant(100_000)),
  stops: fc.array(
    fc.record({
      at: fc.nat({ max: 30 }),
      happening,
      /** Whether clients have all characters up to the stop by then, or one of them at least. */
      settled: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

describe.each([
  ["a WebSocket", overSocket],
  ["server-sent events", overSse],
])("over %s", (_, transport) => {
  test("[LOG4] [LOG5] [BLOCK2] however the stream is cut and resumed, every event and character comes once", async () => {
    await fc.assert(
      fc.asyncProperty(plan, (value) => follow(value, transport)),
      { numRuns: 25 },
    );
  }, 60_000);
});

async function follow(plan: Plan, transport: Transport): Promise<void> {
  const { reply, stops } = heldReply(plan);
  const queued = plan.stops.filter(({ happening }) => happening.do === "queue a message").length;
  const after = plan.tool ? [message([text("Done.", 2)])] : [];
  const rest = Array.from({ length: queued }, () => message([text("Next.", 2)]));
  const scene = await createClaudeScene([reply, ...after, ...rest]);
  const witness = await scene.socket({ after: "0" });
  const follower = await Follower.start(scene.session_id, transport);
  const followers = [follower];
  const pageAfter = async (after: string) =>
    parsePage(unwrap(await scene.stub.events(ADMIN, { after, limit: 1_000, types: null })));
  await scene.submit("Go");
  for (const [n, stop] of stops.entries()) {
    await witness.until(() => charsOf(witness.events) >= stop.chars);
    switch (stop.happening.do) {
      case "cut":
        await follower.cut(stop.happening.share);
        break;
      case "put a file":
        await read(await ask("PUT", `sessions/${scene.session_id}/files/f.txt`, { token: ADMIN_TOKEN, body: `${n}` }));
        break;
      case "queue a message":
        await scene.submit("And then");
        break;
      case "join":
        // A client that reads what there is as a page, and follows the log from the page's end.
        followers.push(await Follower.start(scene.session_id, transport, await pageAfter("0")));
        break;
    }
    await scene.claude.release(`${n}`);
  }
  await witness.until(() => endsOf(witness.events) === 1 + queued);
  const log = await scene.log();
  for (const each of followers) {
    await each.until(({ seq }) => seq === log.length);
    expect(each.view.content).toEqual(contentOf(log));
    await each.leave();
  }
  expect(viewOf(witness.events).content).toEqual(contentOf(log));
  expect(textsOf(log).slice(0, plan.blocks.length)).toEqual(plan.blocks.map(({ value }) => value));
  // Whatever position a client was ever given, what follows it is all that it lacks.
  for (const [i, { cursor }] of witness.events.entries()) {
    const { events } = await pageAfter(cursor);
    expect(viewOf([...witness.events.slice(0, i + 1), ...events]).content).toEqual(contentOf(log));
  }
  witness.close();
}

type Stop = Plan["stops"][number] & { chars: number };

/** The model's message, held at every stop; `chars` are those that clients have by then. */
function heldReply({ blocks, tool, bytes, stops }: Plan): { reply: Reply; stops: Stop[] } {
  const specs = blocks.map(({ kind, value, cuts }): BlockSpec => {
    const offsets = [...new Set(cuts)].filter((cut) => cut > 0 && cut < value.length).sort((a, b) => a - b);
    return kind === "text" ? text(value, offsets) : thinking(value, "c2ln", offsets);
  });
  const write = toolUse("toolu_1", "write", { path: "work_products/made.txt", content: "made" }, 7);
  const whole = message(tool ? [...specs, write] : specs);
  const reply: Reply = [];
  const held: Stop[] = [];
  let sent = 0;
  let before = 0;
  for (const stop of stops.map((each) => ({ ...each, at: each.at % whole.length })).sort((a, b) => a.at - b.at)) {
    reply.push(...cutBytes(whole.slice(sent, stop.at), bytes), hold(`${held.length}`));
    sent = stop.at;
    const chars = charsIn(whole.slice(0, stop.at));
    held.push({ ...stop, chars: stop.settled ? chars : Math.min(chars, before + 1) });
    before = chars;
  }
  return { reply: [...reply, ...cutBytes(whole.slice(sent), bytes)], stops: held };
}

function cutBytes(parts: Reply, step: number): Reply {
  if (parts.length === 0) return [];
  const { length } = encodeReply(parts);
  return inPieces(
    parts,
    Array.from({ length: Math.ceil(length / step) }, (_, i) => (i + 1) * step),
  );
}

function textsOf(log: Event[]): string[] {
  return log.flatMap(({ type, data }) => {
    if (type === "TEXT") return [data.text];
    return type === "THINKING" ? [data.thinking] : [];
  });
}

function endsOf(frames: Event[]): number {
  return frames.filter(({ type }) => type === "ITERATION_END").length;
}
