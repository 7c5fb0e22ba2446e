import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FRAME_INTERVAL_MAX_MS, FRAME_INTERVAL_MS } from "../../src/protocol/limits.ts";
import { LiveBlock } from "../../src/session/live-block.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

type Frame = { text: string; offset: number; done: boolean };

function createBlock(): { block: LiveBlock; frames: Frame[] } {
  const frames: Frame[] = [];
  const row = { seq: 1, type: "TEXT" as const, turnId: "turn", at: 0, redacted: false };
  const block = new LiveBlock(row, ({ ended }, text, offset) => frames.push({ text, offset, done: ended }));
  return { block, frames };
}

const textsOf = (frames: Frame[]) => frames.map(({ text }) => text);

describe("frames", () => {
  test("[BLOCK10] the first piece goes out at once, those that come within 4 ms together", () => {
    const { block, frames } = createBlock();
    block.append("a");
    expect(textsOf(frames)).toEqual(["a"]);
    block.append("b");
    vi.advanceTimersByTime(FRAME_INTERVAL_MS - 1);
    block.append("c");
    expect(textsOf(frames)).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    expect(textsOf(frames)).toEqual(["a", "bc"]);
    // The frame that was merged has its own 4 ms.
    block.append("d");
    expect(textsOf(frames)).toEqual(["a", "bc"]);
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    expect(textsOf(frames)).toEqual(["a", "bc", "d"]);
  });

  test("[BLOCK10] a delta that comes after the 4 ms goes out at once, though the timer is late", () => {
    const { block, frames } = createBlock();
    block.append("a");
    block.append("b");
    vi.setSystemTime(Date.now() + FRAME_INTERVAL_MS);
    block.append("c");
    expect(textsOf(frames)).toEqual(["a", "bc"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("[BLOCK10] the windows keep their pace behind timers that are late", () => {
    const { block, frames } = createBlock();
    block.append("a");
    block.append("b");
    vi.setSystemTime(Date.now() + 1);
    // The clock is 1 ms past the window's end when the timer comes.
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    expect(textsOf(frames)).toEqual(["a", "b"]);
    block.append("c");
    vi.advanceTimersByTime(FRAME_INTERVAL_MS - 1);
    expect(textsOf(frames)).toEqual(["a", "b", "c"]);
  });

  test("[BLOCK13] where to send takes longer than 4 ms, as long is left before the next frame", () => {
    const sent: string[] = [];
    const row = { seq: 1, type: "TEXT" as const, turnId: "turn", at: 0, redacted: false };
    const block = new LiveBlock(row, (_, text) => {
      sent.push(text);
      vi.setSystemTime(Date.now() + 10);
    });
    block.append("a");
    block.append("b");
    vi.advanceTimersByTime(9);
    block.append("c");
    expect(sent).toEqual(["a"]);
    vi.advanceTimersByTime(1);
    expect(sent).toEqual(["a", "bc"]);
  });

  test("[BLOCK13] a host that was suspended as it sent keeps no delta for as long", () => {
    const sent: string[] = [];
    const row = { seq: 1, type: "TEXT" as const, turnId: "turn", at: 0, redacted: false };
    const block = new LiveBlock(row, (_, text) => {
      sent.push(text);
      vi.setSystemTime(Date.now() + 3_600_000);
    });
    block.append("a");
    block.append("b");
    vi.advanceTimersByTime(FRAME_INTERVAL_MAX_MS);
    expect(sent).toEqual(["a", "b"]);
    block.drop();
  });

  test("[BLOCK10] a clock that is set back keeps no delta", () => {
    const { block, frames } = createBlock();
    block.append("a");
    vi.setSystemTime(Date.now() - 3_600_000);
    block.append("b");
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    block.append("c");
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    expect(textsOf(frames)).toEqual(["a", "b", "c"]);
  });

  test("[BLOCK10] after a pause the next piece goes out at once again", () => {
    const { block, frames } = createBlock();
    block.append("a");
    // Nothing waits, so nothing is to be woken for it.
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    block.append("b");
    expect(textsOf(frames)).toEqual(["a", "b"]);
  });

  test("[BLOCK4] the end sends what is left, and says so once", () => {
    const { block, frames } = createBlock();
    block.append("a");
    block.append("b");
    block.end();
    block.end();
    expect(frames).toEqual([
      { text: "a", offset: 0, done: false },
      { text: "b", offset: 1, done: true },
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("[LOG5] a flush sends what waits, once, and nothing where nothing does", () => {
    const { block, frames } = createBlock();
    block.append("a");
    block.append("b");
    block.flush();
    block.flush();
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    expect(textsOf(frames)).toEqual(["a", "b"]);
  });

  test("[LOG5] a block that was not seen yet shows itself before an event overtakes it", () => {
    const { block, frames } = createBlock();
    block.append("\ud83d");
    expect(frames).toEqual([]);
    block.flush();
    block.flush();
    expect(frames).toEqual([{ text: "", offset: 0, done: false }]);
    block.append("\ude42");
    expect(textsOf(frames)).toEqual(["", "\u{1f642}"]);
  });

  test("[BLOCK7] a block that is dropped sends nothing any more", () => {
    const { block, frames } = createBlock();
    block.append("a");
    block.append("b");
    block.drop();
    block.end();
    vi.advanceTimersByTime(FRAME_INTERVAL_MS);
    expect(textsOf(frames)).toEqual(["a"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

const unit = fc.constantFrom("a", "é", "\u{1f642}", "\u{10ffff}", "\ud83d", "\ude42", "\n");
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("append" as const), length: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), length: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("flush" as const), length: fc.constant(0) }) },
);

test("[BLOCK2] [ID8] the frames are the text, however it is cut and whenever it comes, and none ends inside a pair", () => {
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 30 }), fc.array(step, { maxLength: 40 }), (text, steps) => {
      const { block, frames } = createBlock();
      let given = 0;
      for (const { do: action, length } of [...steps, { do: "append" as const, length: text.length }]) {
        if (action === "wait") vi.advanceTimersByTime(length);
        else if (action === "flush") block.flush();
        else {
          block.append(text.slice(given, given + length));
          given = Math.min(given + length, text.length);
        }
        expect(block.data(0)["text"]).toBe(block.text);
      }
      block.end();
      vi.advanceTimersByTime(FRAME_INTERVAL_MS);
      expect(textsOf(frames).join("")).toBe(text.toWellFormed());
      expect(frames.map(({ offset }) => offset)).toEqual(
        frames.map((_, i) => textsOf(frames.slice(0, i)).join("").length),
      );
      expect(frames.map(({ done }) => done)).toEqual(frames.map((_, i) => i === frames.length - 1));
      expect(frames.every(({ text: piece }) => piece.isWellFormed())).toBe(true);
      expect(frames.slice(1, -1).every(({ text: piece }) => piece !== "")).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("[BLOCK5] [BLOCK6] what replay shows is what is left after an offset", () => {
  const { block } = createBlock();
  block.append("hello");
  block.citations.push({ source: "a" });
  expect(block.data(2)).toEqual({ text: "llo", offset: 2, done: false });
  block.end();
  expect(block.data(2)).toEqual({ text: "llo", offset: 2, done: true, citations: [{ source: "a" }] });
  expect(block.data(9)).toEqual({ text: "", offset: 5, done: true, citations: [{ source: "a" }] });
});
