import { renameSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Home } from "../../src/local/home.ts";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import type { Event } from "../../src/protocol/events.ts";
import { HEARTBEAT_MS, INPUT_TIMEOUT_MAX_SECONDS, INPUT_TIMEOUT_SECONDS } from "../../src/protocol/limits.ts";
import type { CreateSessionBody, Session } from "../../src/protocol/rest.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { RunningProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const SCRIPT = fileURLToPath(new URL("../support/local-process.ts", import.meta.url));
const LAMP = { name: "lamp", description: "Turns the lamp on.", input_schema: { type: "object" } };
const ASKS: CreateSessionBody = { model: "demo", permissions: { write: "ask" }, tools: [LAMP] };
const WRITE = "Write 'x' to a.txt, then say 'done'";

type Scene = {
  id: string;
  gateway: InProcessGateway;
  /** Another one, which is closed at the end. */
  open(): InProcessGateway;
  /** Another process that runs a turn of the session, and holds it. */
  execute(text: string): RunningProcess;
  /** One value of the session's database, of which `change` is stored first. */
  stored(query: string, change?: string): unknown;
};

async function withScene(run: (scene: Scene) => Promise<void>, settings: CreateSessionBody = ASKS): Promise<void> {
  using folder = new TemporaryFolder();
  const home = folder.path;
  const gateways: InProcessGateway[] = [];
  const open = () => {
    const gateway = new InProcessGateway({ home, models: {}, holder: "this test" });
    gateways.push(gateway);
    return gateway;
  };
  const maker = open();
  const { session_id: id } = await maker.createSession(settings);
  await maker.close();
  const execute = (text: string) =>
    new RunningProcess(process.execPath, [SCRIPT, "execute", home, id, text], { cwd: PROJECT_ROOT });
  const stored = (query: string, change?: string) => {
    const database = new DatabaseSync(Home.open(home).databaseOf(id));
    try {
      if (change !== undefined) database.exec(change);
      return Object.values(database.prepare(query).get() ?? {})[0];
    } finally {
      database.close();
    }
  };
  try {
    await run({ id, gateway: open(), open, execute, stored });
  } finally {
    for (const gateway of gateways) await gateway.close();
  }
}

const isEnd = ({ type }: Event) => type === "ITERATION_END";
const waits = ({ stdout }: RunningProcess) => stdout.includes('"waiting"');

async function logOf(gateway: InProcessGateway, id: string): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of gateway.events(id, "0")) {
    events.push(event);
    if (isEnd(event)) return events;
  }
  throw new Error("the events ended");
}

/** The input that the session's turn asks for. */
function askedBy({ pending_inputs: [first] }: Session): string {
  if (first === undefined || !("input_id" in first)) throw new Error("nothing is asked");
  return first.input_id;
}

const answersIn = (log: Event[]) =>
  log.flatMap(({ type, data }) => (type === "STATUS" && data.status === "answered" ? [data] : []));

describe("a turn that waits in another process", { timeout: 30_000 }, () => {
  test("[LOCAL14] [LOCAL15] [ASK11] goes on there when it is answered here", () =>
    withScene(async ({ gateway, id, execute }) => {
      await using holder = execute("Write 'x' to a.txt, then ask 'Which?', then call lamp with {}, then say 'done'");
      await holder.printed(waits);
      const inputId = askedBy(await gateway.resumeSession(id));
      expect(await gateway.input(id, inputId)).toMatchObject({ tool: "write", status: "pending" });
      await expect(gateway.answer(id, inputId, "perhaps")).rejects.toMatchObject({ code: "invalid_request" });
      expect(await gateway.answer(id, inputId, "allow")).toMatchObject({ response: "allow" });
      await expect(gateway.answer(id, inputId, "deny")).rejects.toMatchObject({ code: "already_answered" });
      await holder.printed(({ stdout }) => stdout.includes('"question"'));
      const text = "é🚀\n".repeat(1_000);
      expect(await gateway.answer(id, askedBy(await gateway.resumeSession(id)), text)).toMatchObject({
        response: text,
      });
      await holder.printed(({ stdout }) => stdout.includes('"client"'));
      const [call] = (await gateway.resumeSession(id)).pending_inputs;
      const toolUseId = call !== undefined && "tool_use_id" in call ? call.tool_use_id : "";
      const tooLarge = gateway.giveToolResult(id, toolUseId, { content: "\u0001".repeat(300_000) });
      await expect(tooLarge).rejects.toMatchObject({ code: "too_large" });
      await gateway.giveToolResult(id, toolUseId, { content: "é".repeat(300_000) });
      await holder.printed(({ stdout }) => stdout.includes("ITERATION_END"));
      await expect(gateway.writeFile(id, "a", new Uint8Array())).rejects.toMatchObject({ code: "session_busy" });
    }));

  test("[LOCAL14] [ASK10] goes on here when that process was killed", () =>
    withScene(async ({ gateway, id, execute, stored }) => {
      await using holder = execute(WRITE);
      await holder.printed(waits);
      await holder.killGroup("SIGKILL");
      const view = await gateway.resumeSession(id);
      expect(view).toMatchObject({ status: "waiting", pending_inputs: [{ kind: "approval" }] });
      expect(await gateway.input(id, askedBy(view))).toMatchObject({ status: "pending" });
      expect(gateway.holderOf(id)).toBeNull();
      await gateway.answer(id, askedBy(view), "allow");
      const log = await logOf(gateway, id);
      expect(log.at(-1)).toMatchObject({ data: { status: "complete" } });
      expect(log.filter(({ type, data }) => type === "STATUS" && data.status === "resumed")).toEqual([]);
      expect(stored("SELECT starts FROM turns")).toBe(0);
      expect(await gateway.listFiles(id)).toMatchObject({ files: [{ path: "a.txt" }] });
    }));

  test("[LOCAL14] an answer to a process that is killed meanwhile is given here", () =>
    withScene(async ({ gateway, id, execute }) => {
      await using holder = execute(WRITE);
      await holder.printed(waits);
      const inputId = askedBy(await gateway.resumeSession(id));
      holder.child.kill("SIGSTOP");
      const answering = gateway.answer(id, inputId, "allow");
      await holder.killGroup("SIGKILL");
      expect(await answering).toMatchObject({ response: "allow" });
      expect((await logOf(gateway, id)).at(-1)).toMatchObject({ data: { status: "complete" } });
    }));

  test("[LOCAL14] [ASK12] of answers from several processes at once one settles it", () =>
    withScene(async ({ id, open, execute }) => {
      await using holder = execute(WRITE);
      await holder.printed(waits);
      const gateways = [open(), open(), open(), open()];
      const [first] = gateways;
      const inputId = askedBy((await first?.resumeSession(id)) ?? never());
      // Some may be at the door when its holder is killed, and some come later.
      const answers = gateways.map((one, i) => one.answer(id, inputId, i % 2 === 0 ? "allow" : "deny"));
      await holder.killGroup("SIGKILL");
      const outcomes = await Promise.allSettled(answers);
      const [settled, ...more] = answersIn(await logOf(first ?? never(), id));
      expect(more).toEqual([]);
      for (const [i, outcome] of outcomes.entries()) {
        const isSame = settled?.response === (i % 2 === 0 ? "allow" : "deny");
        expect(outcome).toMatchObject(isSame ? { status: "fulfilled" } : { reason: { code: "already_answered" } });
      }
    }));
});

function never(): never {
  throw new Error("there is none");
}

describe("a turn that waits and that no process holds", () => {
  test("[LOCAL15] [ASK10] is opened and closed as often as one likes, and nothing comes of it", () =>
    withScene(async ({ gateway, id, open, stored }) => {
      const { turn_id } = await gateway.runQuery(id, { user_input: WRITE });
      const before = await gateway.resumeSession(id);
      await gateway.close();
      for (let i = 0; i < 6; i++) {
        const next = open();
        expect(await next.resumeSession(id)).toEqual(before);
        expect(next.holderOf(id)).toBeNull();
        for await (const { seq } of next.events(id, "0")) if (seq === before.last_seq) break;
        expect(await next.resumeSession(id)).toEqual(before);
        await next.close();
      }
      expect(stored("SELECT starts FROM turns")).toBe(0);
      const last = open();
      await last.answer(id, askedBy(before), "allow");
      const log = await logOf(last, id);
      expect(log.at(-1)).toMatchObject({ turn_id, data: { status: "complete" } });
    }));

  test("[ASK13] [LOCAL15] whose time is up is settled when it is opened next, and not when it is seen", () =>
    withScene(async ({ gateway, id, open, stored }) => {
      await gateway.runQuery(id, { user_input: WRITE });
      await gateway.close();
      stored("SELECT 1", "UPDATE inputs SET expires_at = 1");
      const next = open();
      const view = await next.resumeSession(id);
      expect(view).toMatchObject({ status: "waiting" });
      expect(await next.input(id, askedBy(view))).toMatchObject({ status: "pending" });
      const log = await logOf(next, id);
      expect(answersIn(log)).toMatchObject([{ response: "deny", user_id: null, via: "deadline" }]);
      expect(await next.listFiles(id)).toMatchObject({ files: [] });
    }));

  test("[LOCAL16] stays as it is while its directory is not there", async () => {
    using folder = new TemporaryFolder();
    const settings = { ...ASKS, workspace_dir: folder.path };
    const aside = `${folder.path}-aside`;
    await withScene(async ({ gateway, id, open, stored }) => {
      const { turn_id } = await gateway.runQuery(id, { user_input: WRITE });
      const before = await gateway.resumeSession(id);
      await gateway.close();
      renameSync(folder.path, aside);
      const refused = { code: "path_refused" };
      try {
        const next = open();
        for await (const { seq } of next.events(id, "0")) if (seq === before.last_seq) break;
        await expect(next.answer(id, askedBy(before), "allow")).rejects.toMatchObject(refused);
        await expect(next.cancel(id)).rejects.toMatchObject(refused);
        await expect(next.cancelTurn(id, turn_id)).rejects.toMatchObject(refused);
        expect(await next.resumeSession(id)).toEqual(before);
        await next.close();
        stored("SELECT 1", "UPDATE inputs SET expires_at = 1");
        const late = open();
        await expect(logOf(late, id)).rejects.toMatchObject(refused);
        expect(await late.resumeSession(id)).toEqual(before);
        await late.close();
      } finally {
        renameSync(aside, folder.path);
      }
      const log = await logOf(open(), id);
      expect(answersIn(log)).toMatchObject([{ response: "deny", via: "deadline" }]);
      expect(log.at(-1)).toMatchObject({ data: { status: "complete" } });
    }, settings);
  });

  test("[LOCAL17] has no link that answers, and no ticket", () =>
    withScene(async ({ gateway, id }) => {
      await gateway.runQuery(id, { user_input: WRITE });
      const inputId = askedBy(await gateway.resumeSession(id));
      await expect(gateway.mintLink(id, inputId)).rejects.toMatchObject({ code: "unavailable" });
      await expect(gateway.createTicket(id)).rejects.toMatchObject({ code: "unavailable" });
    }));
});

describe("a turn that waits in this process", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test("[ASK13] is settled when its time is up, be that further away than a timer can wait", () =>
    withScene(
      async ({ gateway, id }) => {
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], shouldAdvanceTime: true });
        const { turn_id } = await gateway.runQuery(id, { user_input: WRITE });
        const before = await gateway.resumeSession(id);
        expect(before).toMatchObject({ status: "waiting", active_turn: turn_id });
        await vi.advanceTimersByTimeAsync(1_000 * INPUT_TIMEOUT_MAX_SECONDS - 10_000);
        expect(await gateway.resumeSession(id)).toEqual(before);
        await vi.advanceTimersByTimeAsync(10_000);
        // Timers stay as they are: what goes on now waits for some.
        const log = await logOf(gateway, id);
        expect(answersIn(log)).toMatchObject([{ via: "deadline" }]);
        expect(log.at(-1)).toMatchObject({ data: { status: "complete" } });
      },
      { ...ASKS, input_timeout_seconds: INPUT_TIMEOUT_MAX_SECONDS },
    ));

  test("[LOCAL16] stays as it is while its directory is not there, though it was there before", async () => {
    using folder = new TemporaryFolder();
    const aside = `${folder.path}-aside`;
    const settings = { ...ASKS, workspace_dir: folder.path, input_default: "allow" as const, loosen_permissions: true };
    const ask = "Write 'x' to a.txt, then call lamp with {}, then say 'done'";
    await withScene(async ({ gateway, id }) => {
      vi.spyOn(console, "error").mockImplementation(() => {});
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], shouldAdvanceTime: true });
      await gateway.runQuery(id, { user_input: ask });
      const before = await gateway.resumeSession(id);
      renameSync(folder.path, aside);
      try {
        const refused = { code: "path_refused" };
        await expect(gateway.answer(id, askedBy(before), "allow")).rejects.toMatchObject(refused);
        await expect(gateway.giveToolResult(id, "toolu_none", { content: "" })).rejects.toMatchObject(refused);
        await expect(gateway.cancel(id)).rejects.toMatchObject(refused);
        expect(await gateway.resumeSession(id)).toEqual(before);
        await vi.advanceTimersByTimeAsync(INPUT_TIMEOUT_SECONDS * 1_000 + 10 * HEARTBEAT_MS);
        expect(await gateway.resumeSession(id)).toEqual(before);
      } finally {
        renameSync(aside, folder.path);
      }
      await vi.advanceTimersByTimeAsync(HEARTBEAT_MS);
      await vi.waitFor(async () => {
        const { pending_inputs } = await gateway.resumeSession(id);
        expect(pending_inputs).toMatchObject([{ kind: "tool" }]);
      });
      expect(await gateway.listFiles(id)).toMatchObject({ files: [{ path: "a.txt" }] });
      vi.restoreAllMocks();
    }, settings);
  });
});
