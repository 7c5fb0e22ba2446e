import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { memoryDraft } from "../support/memory-workspace.ts";
import { runTool } from "../support/run-tool.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("[TOOL13] waits as long as it is told to", async () => {
  const { draft } = await memoryDraft();
  let ended = false;
  const waiting = runTool(draft, "wait", { seconds: 1.5 }).finally(() => {
    ended = true;
  });
  await vi.advanceTimersByTimeAsync(1_499);
  expect(ended).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await waiting).toEqual({ text: "Waited 1.5 seconds." });
});

test.for([-1, 61, "1", null])("[TOOL13] %j seconds are refused", async (seconds) => {
  const { draft } = await memoryDraft();
  expect(await runTool(draft, "wait", { seconds })).toHaveProperty("error");
});

test("[TOOL13] stops at once when its call is stopped, and leaves no timer", async () => {
  const { draft } = await memoryDraft();
  const stopped = new AbortController();
  const waiting = runTool(draft, "wait", { seconds: 60 }, stopped.signal);
  stopped.abort(new Error("stopped"));
  await expect(waiting).rejects.toThrow("stopped");
  await expect(runTool(draft, "wait", { seconds: 60 }, stopped.signal)).rejects.toThrow("stopped");
  expect(vi.getTimerCount()).toBe(0);
});
