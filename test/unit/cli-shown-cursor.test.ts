import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { cursorPath, readCursor, ShownCursor } from "../../src/cli/shown-cursor.ts";
import { ExternalGateway } from "../../src/client/external-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";

const home = mkdtempSync(join(tmpdir(), "turnpike-"));
afterAll(() => rmSync(home, { recursive: true }));
afterEach(() => vi.useRealTimers());

const SESSION = "session_01M7YKZE36HNPTEEXQ3W3VY5AY";
const path = join(home, "cursors", SESSION);

const eventAt = (seq: number, cursor = `${seq}`): Event => ({
  seq,
  cursor,
  type: "TEXT",
  turn_id: null,
  timestamp: "2026-01-31T12:00:00.000Z",
  data: { text: "x", offset: 0, done: false },
});

/** What is kept after these cursors were shown from `start` on. */
function keptAfter(start: string, events: Event[]): string {
  rmSync(path, { force: true });
  const shown = new ShownCursor(path, start);
  for (const event of events) shown.take(event);
  shown.close();
  return readCursor(path);
}

describe("the position up to which a session was shown", () => {
  test("[CLI19] is that of the last event or piece", () => {
    expect(keptAfter("0", [eventAt(1), eventAt(2), eventAt(3, "3~3.5")])).toBe("3~3.5");
    expect(keptAfter("3~3.5", [eventAt(3, "3~3.9"), eventAt(3), eventAt(4)])).toBe("4");
  });

  test("[CLI19] passes over nothing that was not shown", () => {
    expect(keptAfter("0", [eventAt(1), eventAt(3), eventAt(4)])).toBe("1");
    // Another's event came while a block was open.
    expect(keptAfter("4", [eventAt(5, "5~5.1"), eventAt(5, "6~5.2"), eventAt(5, "6")])).toBe("5~5.1");
    expect(keptAfter("0", [eventAt(5), eventAt(6)])).toBe("0");
    expect(keptAfter("0", [eventAt(1), eventAt(2, "of a later version"), eventAt(3)])).toBe("1");
  });

  test("[CLI19] is written at once, then at most each 250 ms, for its owner alone", () => {
    vi.useFakeTimers();
    rmSync(join(home, "cursors"), { recursive: true, force: true });
    const shown = new ShownCursor(path, "0");
    shown.take(eventAt(1));
    expect(readCursor(path)).toBe("1");
    for (let seq = 2; seq < 100; seq++) shown.take(eventAt(seq));
    vi.advanceTimersByTime(249);
    expect(readCursor(path)).toBe("1");
    vi.advanceTimersByTime(1);
    expect(readCursor(path)).toBe("99");
    shown.close();
    expect(readdirSync(join(home, "cursors"))).toEqual([SESSION]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(home, "cursors")).mode & 0o777).toBe(0o700);
  });

  test("[CLI19] is the start where none, or nothing of ours, is kept", () => {
    expect(readCursor(join(home, "none"))).toBe("0");
    writeFileSync(join(home, "broken"), "nonsense");
    expect(readCursor(join(home, "broken"))).toBe("0");
  });

  test("[CLI19] is no reason to fail where it cannot be kept", () => {
    writeFileSync(join(home, "file"), "");
    const shown = new ShownCursor(join(home, "file", "cursors", SESSION), "0");
    shown.take(eventAt(1));
    shown.close();
    const taken = join(home, "taken");
    mkdirSync(taken);
    new ShownCursor(taken, "0").take(eventAt(1));
    expect(readFileSync(join(home, "file"), "utf8")).toBe("");
    expect(readdirSync(home).filter((name) => name.startsWith("taken"))).toEqual(["taken"]);
  });

  test("[CLI19] is kept apart for each gateway", () => {
    const gateway = new ExternalGateway({ baseUrl: "http://x", token: "t" });
    const otherHolder = () => null;
    const places = [null, "http://a", "http://b"].map((address) => ({ gateway, home, address, otherHolder }));
    const paths = places.map((place) => cursorPath(place, SESSION));
    expect(new Set(paths).size).toBe(3);
    expect(paths[0]).toBe(path);
    for (const one of paths) expect(one.startsWith(path)).toBe(true);
  });
});
