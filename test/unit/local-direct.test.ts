import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { type DirectOptions, runDirect } from "../../src/local/run-direct.ts";
import type { Event } from "../../src/protocol/events.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

/** What an event is, without what differs from one run to the next. */
const plain = ({ seq, type, data }: Event) => {
  const times = /_seconds|time_offset/;
  const ids = /(session|turn)_[0-9A-Z]{26}|^[0-9a-f]{32}$/g;
  const text = JSON.stringify({ seq, type, data }, (key, value: unknown) => {
    if (times.test(key)) return 0;
    return typeof value === "string" ? value.replace(ids, "ID") : value;
  });
  return JSON.parse(text);
};

/** The events as a reader has them who puts the pieces of each block together. */
function whole(events: Event[]): unknown[] {
  const blocks = new Map<number, Event>();
  for (const event of events) {
    const before = blocks.get(event.seq);
    const pieces = before?.type === "TEXT" && event.type === "TEXT";
    const text = pieces ? { text: before.data.text + event.data.text, offset: 0 } : {};
    blocks.set(event.seq, pieces ? { ...event, data: { ...event.data, ...text } } : event);
  }
  return [...blocks.values()].map(plain);
}

async function direct(input: string, options: Partial<DirectOptions> = {}): Promise<Event[]> {
  using folder = new TemporaryFolder();
  return await Array.fromAsync(runDirect({ workspace: folder.path, models: {}, ...options }, { user_input: input }));
}

async function inSession(input: string): Promise<{ events: Event[]; workspaceDir: string }> {
  using folder = new TemporaryFolder();
  const gateway = new InProcessGateway({ home: folder.path, models: {}, holder: "a test" });
  const { session_id, workspace_dir } = await gateway.createSession();
  const events = await Array.fromAsync(gateway.execute(session_id, { user_input: input }));
  await gateway.close();
  return { events, workspaceDir: workspace_dir };
}

/** Runs something that may make temporary files, and says which of them it left. */
async function leftBy(run: () => Promise<void>): Promise<string[]> {
  using folder = new TemporaryFolder();
  vi.stubEnv("TMPDIR", folder.path);
  try {
    await run();
    return readdirSync(folder.path);
  } finally {
    vi.unstubAllEnvs();
  }
}

describe("a direct turn", () => {
  test("[LOCAL7] does not work where the home is", async () => {
    using folder = new TemporaryFolder();
    const home = join(folder.path, "home");
    mkdirSync(home);
    for (const [workspace, kept] of [
      [folder.path, home],
      [home, "what the gateway keeps"],
    ] as const) {
      await expect(direct("Say 'hi'", { workspace, home })).rejects.toMatchObject({
        code: "path_refused",
        message: `An agent may not work in ${workspace}: there it could change ${kept}.`,
      });
    }
  });

  test.each([
    "Say 'hi'",
    "Think for 5 words, then write 'x' to work_products/a.txt, then read work_products/a.txt, then count to 9 at 2 ms",
    "At once: Write 'a' to a & Write 'b' to b & Read none",
    "Say 'once', then fail with 529 1 time, then say ' more'",
    "Fail with 400",
    "Say 'x', then stop with refusal",
    "Call nothing with {}",
    "what is this?",
  ])("[LOCAL12] gives the events that a session gives: %s", async (input) => {
    const { events, workspaceDir } = await inSession(input);
    expect(whole(await direct(input, { workspaceDir }))).toEqual(whole(events));
  });

  test("[LOCAL12] works in the directory, and leaves nothing but what it wrote there", async () => {
    using folder = new TemporaryFolder();
    writeFileSync(join(folder.path, "a.txt"), "before");
    const user_input = "Replace 'before' with 'after' in a.txt, then write 'b' to new/b.txt";
    const left = await leftBy(async () => {
      const events = await Array.fromAsync(runDirect({ workspace: folder.path, models: {} }, { user_input }));
      expect(events[0]).toMatchObject({ type: "SESSION_INFO", data: { workspace: folder.path, model: "demo" } });
    });
    expect(left).toEqual([]);
    expect(readdirSync(folder.path, { recursive: true }).sort()).toEqual(["a.txt", "new", "new/b.txt"]);
    expect(readFileSync(join(folder.path, "a.txt"), "utf8")).toBe("after");
  });

  test.each([
    ["while a tool runs", "Wait 60 seconds", "TOOL_CALL"],
    ["amid a text", "Count to 1000 at 50 ms", "TEXT"],
    ["while it waits to try again", "Fail with 529", "STATUS"],
  ])("[LOCAL12] that is aborted %s ends as cancelled", async (_when, user_input, at) => {
    using folder = new TemporaryFolder();
    const abort = new AbortController();
    const events: Event[] = [];
    const options = { workspace: folder.path, models: {}, signal: abort.signal };
    for await (const event of runDirect(options, { user_input })) {
      events.push(event);
      if (event.type === at) abort.abort();
    }
    expect(events.at(-1)).toMatchObject({ type: "ITERATION_END", data: { status: "cancelled" } });
  });

  test("[LOCAL12] that is aborted before it begins ends as cancelled", async () => {
    const events = await direct("Say 'hi'", { signal: AbortSignal.abort() });
    expect(events.map(({ type }) => type)).toEqual(["SESSION_INFO", "USER_INPUT", "STATUS", "ITERATION_END"]);
    expect(events.at(-1)).toMatchObject({ data: { status: "cancelled" } });
  });

  test("[LOCAL12] that is left stops", async () => {
    using folder = new TemporaryFolder();
    const left = await leftBy(async () => {
      const message = { user_input: "Wait 60 seconds, then write 'x' to a.txt" };
      for await (const { type } of runDirect({ workspace: folder.path, models: {} }, message)) {
        if (type === "TOOL_CALL") break;
      }
    });
    expect(left).toEqual([]);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("[LOCAL12] [REST10] of nothing, or nowhere, is refused", async () => {
    await expect(direct(" ")).rejects.toMatchObject({ code: "blank_input" });
    await expect(direct("Say 'hi'", { workspace: "/nowhere" })).rejects.toMatchObject({ code: "path_refused" });
  });
});
