import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normalise } from "../../src/parity/compare/normalise.ts";
import { readStream } from "../../src/parity/compare/read-stream.ts";
import { turnFaults } from "../../src/parity/compare/turn-faults.ts";
import { readEventStream } from "../../src/parity/entry-points/event-stream.ts";
import { maskTimes } from "../../src/parity/play-scene.ts";
import type { Event, EventOf } from "../../src/protocol/events.ts";
import { circumstances, madeFile, type Story, tell } from "../support/parity-story.ts";

const place = circumstances("A");
const STORY: Story = [
  { block: "THINKING", text: "let me see" },
  { block: "TEXT", text: "one two", cuts: [4] },
  ...madeFile(place, "work_products/x"),
  { block: "TEXT", text: "done" },
];
const events = tell(STORY, place);
const lastOf = (all: readonly Event[]) => {
  const end = all.at(-1);
  if (end?.type !== "ITERATION_END") throw new Error("The turn has no end.");
  return end;
};

describe("a stream by itself", () => {
  const faultsOf = (all: readonly Event[], scope: "log" | "turn" = "log") =>
    readStream(all, scope).faults.map(({ seq, text }) => `${seq}: ${text}`);

  test("[PARITY6] nothing is wrong with one that keeps the rules", () => {
    expect(faultsOf(events)).toEqual([]);
    expect(readStream(events, "log").events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("[PARITY6] a turn's stream may have holes, the log's may not", () => {
    const holey = events.filter(({ seq }) => seq !== 2);
    expect(faultsOf(holey)).toEqual(["3: event 2 is missing before it"]);
    expect(faultsOf(holey, "turn")).toEqual([]);
  });

  test("[PARITY6] pieces that do not follow each other, and a block without an end", () => {
    expect(faultsOf(events.filter((event) => event.type !== "TEXT" || event.data.offset !== 0))).toEqual([
      "5: the block begins at offset 4",
      "10: event 9 is missing before it",
    ]);
    expect(faultsOf(events.filter((event) => event.type !== "TEXT" || !event.data.done || event.seq !== 5))).toEqual([
      "6: has the cursor 6 where the position is 6~5.4",
      "7: has the cursor 7 where the position is 7~5.4",
      "8: has the cursor 8 where the position is 8~5.4",
      "9: begins while block 5 is open",
    ]);
  });

  test("[PARITY6] a discard of what was never sent", () => {
    const discarding = tell([{ discard: [0] }, { block: "TEXT", text: "x" }], place).map((event) =>
      event.type === "STATUS" && event.data.status === "retrying"
        ? { ...event, data: { ...event.data, discard: [2] } }
        : event,
    );
    expect(faultsOf(discarding)).toEqual(["4: discards 2, which is no block that was sent"]);
  });

  test("[PARITY2] what a later discard names counts as discarded, also when it streams still", () => {
    const live = tell([{ block: "TEXT", text: "lost", cuts: [2] }, { discard: [0] }], place);
    const cut = live.filter((event) => event.type !== "TEXT" || !event.data.done);
    const replayed = live.flatMap((event): Event[] => {
      if (event.type !== "TEXT") return [event];
      return event.data.offset > 0
        ? []
        : [{ ...event, cursor: "4", data: { text: "", offset: 0, done: true, discarded: true } }];
    });
    for (const all of [live, cut, replayed]) {
      expect(faultsOf(all)).toEqual([]);
      expect(normalise(readStream(all, "log").events)).toEqual(normalise(replayed));
    }
  });

  test("[PARITY6] a block that a crash has voided, of which a client had the beginning", () => {
    const live = tell([{ block: "TEXT", text: "lost", cuts: [2] }, { discard: [0] }], place);
    const discarded = { text: "", offset: 0, done: true, discarded: true } as const;
    const cameBack = live.map(
      (event): Event =>
        event.type === "TEXT" && event.data.offset > 0 ? { ...event, cursor: "4", data: discarded } : event,
    );
    expect(faultsOf(cameBack)).toEqual([]);
    expect(readStream(cameBack, "log").events.find(({ type }) => type === "TEXT")?.data).toEqual(discarded);
  });
});

describe("the shape of a turn", () => {
  const faultsOf = (all: readonly Event[]) => turnFaults(all).map(({ text }) => text);
  const without = (type: Event["type"]) => events.filter((event) => event.type !== type);
  const end = lastOf(events);

  test("[PARITY6] [PARITY10] its frame, a result for each call, and one end", () => {
    const turn = readStream(events, "log").events;
    expect(faultsOf(turn)).toEqual([]);
    expect(faultsOf(without("SESSION_INFO"))).toContain("stands where the turn's SESSION_INFO must");
    expect(faultsOf(without("USER_INPUT"))).toContain("stands where the turn's USER_INPUT must");
    expect(faultsOf(without("STATUS"))).toContain("stands where the turn's STATUS processing must");
    expect(faultsOf(without("TOOL_CALL"))).toEqual(["answers no call", "counts 1 tool calls of 0"]);
    expect(faultsOf(without("TOOL_RESULT"))).toEqual([
      "does not follow the result of a call",
      "the turn ends without a result for toolu_1",
    ]);
    expect(faultsOf(without("ITERATION_END"))).toEqual(["is the turn's last event, which must be ITERATION_END"]);
    expect(faultsOf([...turn, end])).toEqual(["comes before the turn's last event"]);
    const twice = turn.flatMap((event): Event[] => (event.type === "TOOL_RESULT" ? [event, event] : [event]));
    expect(faultsOf(twice)).toEqual(["answers a call that has its result"]);
    const otherTrace: EventOf<"ITERATION_END"> = { ...end, data: { ...end.data, trace_id: "0".repeat(32) } };
    expect(faultsOf([...turn.slice(0, -1), otherTrace])).toEqual(["has a trace_id that is not the turn's"]);
  });

  test("[PARITY6] a turn that was taken out of the queue has only its wait and its end", () => {
    const [first] = events;
    if (first === undefined) throw new Error("There are no events.");
    const queued: Event = {
      ...first,
      type: "STATUS",
      data: { status: "queued", turn_id: place.turn, text: "x", position: 1 },
    };
    const withdrawn: Event = { ...end, data: { ...end.data, status: "cancelled", tool_calls: 0 } };
    expect(faultsOf([queued, withdrawn])).toEqual([]);
    expect(faultsOf([queued, { ...end, data: { ...end.data, tool_calls: 0 } }])).not.toEqual([]);
  });
});

describe("server-sent events", () => {
  const frame = (event: Event, id = event.cursor) => `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`;
  function* pieces(bytes: Uint8Array, sizes: readonly number[]) {
    let from = 0;
    for (const size of sizes) {
      yield bytes.slice(from, from + size);
      from += size;
    }
    yield bytes.slice(from);
  }
  const read = (text: string, sizes: readonly number[] = []) =>
    Array.fromAsync(readEventStream(ReadableStream.from(pieces(new TextEncoder().encode(text), sizes))));

  test("[PARITY1] are read whole, however their bytes are cut", async () => {
    const story = tell([{ block: "TEXT", text: "naïve 🦉", cuts: [5] }], place);
    const text = `: \n\n${story.map((event) => frame(event)).join(": quiet\n\n")}`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400 })), async (sizes) => {
        expect(await read(text, sizes)).toEqual(story);
      }),
    );
  });

  test("[PARITY1] one that breaks off ends with what came whole", async () => {
    const [first, second] = events;
    if (first === undefined || second === undefined) throw new Error("There are no events.");
    expect(await read(`${frame(first)}${frame(second).slice(0, -2)}`)).toEqual([first]);
  });

  test("[PARITY1] whatever the contract does not have is an error", async () => {
    const [first] = events;
    if (first === undefined) throw new Error("There are no events.");
    await expect(read(frame(first, "7"))).rejects.toThrow("came with the id 7, its cursor is 1");
    await expect(read(`event: message\n${frame(first)}`)).rejects.toThrow('has the line "event: message"');
    await expect(read(`data: {"seq": 1}\n\n`)).rejects.toThrow();
  });
});

test("[PARITY5] of what is shown only the program's own times are masked", () => {
  const stderr = [
    "complete in 0.3 s, 1 tool, 7 tokens in, 2 out",
    "failed (end_turn) in 12.0 s, 0 tools",
    "trying again in 0.5 s (cut, attempt 2)",
    '  It is "complete in 0.3 s, I think".',
    "Waited 0.3 seconds.",
  ];
  const stdout = "complete in 0.3 s, as ever";
  expect(maskTimes({ stdout, stderr: stderr.join("\n") })).toEqual({
    stdout,
    stderr: [
      "complete in # s, 1 tool, 7 tokens in, 2 out",
      "failed (end_turn) in # s, 0 tools",
      "trying again in # s (cut, attempt 2)",
      ...stderr.slice(3),
    ].join("\n"),
  });
});
