import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { type Event, event as eventSchema } from "../../src/protocol/events.ts";
import type { AcceptedTurn } from "../../src/protocol/rest.ts";
import { entriesOf } from "../support/entries-of.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { RunningProcess, runProcess } from "../support/run-process.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const SCRIPT = fileURLToPath(new URL("../support/local-process.ts", import.meta.url));

type Scene = {
  home: string;
  /** This process's gateway. */
  gateway: InProcessGateway;
  /** Another one of this process, which the test closes. */
  open(): InProcessGateway;
  /** A session that nobody holds yet. */
  id: string;
  /** Another process that does something with the session. */
  start(what: string, ...args: string[]): RunningProcess;
};

async function withScene(run: (scene: Scene) => Promise<void>): Promise<void> {
  using folder = new TemporaryFolder();
  const home = folder.path;
  const open = () => new InProcessGateway({ home, models: {}, holder: "this test" });
  const maker = open();
  const { session_id: id } = await maker.createSession({ title: "shared" });
  await maker.close();
  const start = (what: string, ...args: string[]) =>
    new RunningProcess(process.execPath, [SCRIPT, what, home, id, ...args], { cwd: PROJECT_ROOT });
  const gateway = open();
  try {
    await run({ home, gateway, open, id, start });
  } finally {
    await gateway.close();
  }
}

/** What another process has printed of its events. */
const printed = ({ stdout }: RunningProcess): Event[] =>
  stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => eventSchema.parse(JSON.parse(line)));

const isEnd = ({ type }: Event) => type === "ITERATION_END";

async function until(events: AsyncIterable<Event>, isLast: (event: Event) => boolean): Promise<Event[]> {
  const taken: Event[] = [];
  for await (const event of events) {
    taken.push(event);
    if (isLast(event)) return taken;
  }
  throw new Error("the events ended");
}

const collect = (events: AsyncIterable<Event>): Promise<Event[]> => Array.fromAsync(events);

describe("a session that another process holds", { timeout: 30_000 }, () => {
  test("[LOCAL2] [HOLD1] is busy for whoever would change it, who is told by whom", () =>
    withScene(async ({ gateway, id, start }) => {
      await using holder = start("execute", "Wait 60 seconds");
      await holder.printed(({ stdout }) => stdout.includes("TOOL_CALL"));
      const turn = printed(holder)[0]?.turn_id ?? "";
      const calls = [
        collect(gateway.execute(id, { user_input: "Say 'hi'" })),
        gateway.runQuery(id, { user_input: "Say 'hi'" }),
        gateway.cancelTurn(id, turn),
        gateway.writeFile(id, "a", new Uint8Array()),
        gateway.deleteSession(id),
      ];
      const words = new RegExp(`process ${holder.child.pid} \\(turnpike test\\) since .*turnpike resume ${id}`);
      for (const call of await Promise.allSettled(calls)) {
        const reason = { code: "session_busy", message: expect.stringMatching(words) };
        expect(call).toMatchObject({ status: "rejected", reason });
      }
    }));

  test("[LOCAL3] is seen as it is, with its files, and its turn can be cancelled", () =>
    withScene(async ({ gateway, id, start }) => {
      await using holder = start("execute", "Write 'x' to a.txt, then wait 60 seconds");
      await holder.printed(({ stdout }) => stdout.split("TOOL_CALL").length === 3);
      const turn_id = printed(holder)[0]?.turn_id ?? "";
      const session = await gateway.resumeSession(id);
      expect(session).toMatchObject({ title: "shared", status: "running", last_seq: 6, active_turn: turn_id });
      expect((await gateway.listFiles(id)).files).toMatchObject([{ path: "a.txt", size: 1 }]);
      expect(await gateway.readFile(id, "a.txt")).toEqual(new Uint8Array([120]));
      expect((await gateway.listSessions()).sessions).toMatchObject([{ session_id: id, status: "running" }]);
      expect(await gateway.cancel(id)).toEqual({ turn_id });
      expect(await gateway.cancel(id)).toEqual({ turn_id: null });
      await holder.printed(({ stdout }) => stdout.includes("ITERATION_END"));
      expect(printed(holder).at(-1)).toMatchObject({ data: { status: "cancelled" } });
    }));

  test("[LOCAL3] seeing a session that nobody holds takes it from nobody", () =>
    withScene(async ({ gateway, id, start }) => {
      await gateway.resumeSession(id);
      await gateway.listFiles(id);
      await gateway.listSessions();
      await using holder = start("execute", "Say 'hi'");
      await holder.printed(({ stdout }) => stdout.includes("ITERATION_END"));
    }));

  test("[LOCAL4] is followed as it goes, and gone on with when it is given back", () =>
    withScene(async ({ gateway, id, start }) => {
      await using holder = start("execute", "Count to 20 at 5 ms");
      await holder.printed(({ stdout }) => stdout.includes("processing"));
      const following = gateway.events(id, "0")[Symbol.asyncIterator]();
      const seen: Event[] = [];
      const next = async () => {
        const { value } = await following.next();
        if (value !== undefined) seen.push(value);
        return seen.at(-1);
      };
      while ((await next())?.type !== "ITERATION_END");
      await holder.printed(({ stdout }) => stdout.includes("ITERATION_END"));
      expect(entriesOf(seen)).toEqual(entriesOf(printed(holder)));

      const coming = next();
      holder.child.stdin?.end();
      expect(await holder.outcome()).toBe(0);
      // The follower takes the session as soon as it can, be it before this call or after it.
      const result = await gateway.runQuery(id, { user_input: "Say 'now here'" });
      expect(result).toMatchObject({ status: "complete", response_text: "now here" });
      await coming;
      while ((await next())?.type !== "ITERATION_END");
      expect(entriesOf(seen)).toEqual(
        entriesOf(await until(gateway.events(id, "0"), ({ seq }) => seq === seen.at(-1)?.seq)),
      );
    }));

  test("[LOCAL4] [LOCAL5] is taken by one of its followers when its holder is killed, whom the others follow then", () =>
    withScene(async ({ gateway, open, id, start }) => {
      await using holder = start("dieWhenFollowed", "Count to 20 at 5 ms, then list ., then count to 9 at 2 ms", "9");
      await holder.printed(({ stdout }) => stdout.includes("first"));
      const gateways = [gateway, open(), open()];
      let ends = 0;
      const following = gateways.map((one) => {
        let turns = 0;
        return until(one.events(id, "0"), (event) => {
          if (!isEnd(event)) return false;
          // All of them follow through the door by now.
          if (++ends === gateways.length) holder.child.stdin?.write("die");
          return ++turns === 2;
        });
      });
      const seen = await Promise.all(following);
      expect(await holder.outcome()).toBe("SIGKILL");
      const log = await until(gateway.events(id, "0"), ({ seq }) => seq === seen[0]?.at(-1)?.seq);
      for (const events of seen) {
        expect(events.at(-1)).toMatchObject({ data: { status: "complete" } });
        // Those had characters of the block that was dropped.
        expect(events.filter(({ type, seq }) => type === "TEXT" && seq === 9).length).toBeGreaterThan(1);
        expect(events.find(({ type, data }) => type === "STATUS" && "discard" in data)).toMatchObject({
          data: { status: "resumed", discard: [9] },
        });
        expect(entriesOf(events)).toEqual(entriesOf(log));
      }
      const texts = [...entriesOf(log).values()].flatMap((entry) => (entry.kind === "block" ? entry.text : []));
      const count = (to: number) => Array.from({ length: to }, (_, i) => `${i + 1} `).join("");
      expect(texts).toEqual(["first", "", count(20), count(9)]);
      for (const one of gateways) await one.close();
    }));

  test("[LOCAL5] [LOCAL13] that dies with turns in its queue loses none of them, nor takes one twice", () =>
    withScene(async ({ home, gateway, id, start }) => {
      const inputs = ["Count to 100 at 20 ms, then append 'a' to f.txt", "Append 'b' to f.txt", "Append 'c' to f.txt"];
      await using dying = start("submitAndDie", inputs.join("\n"));
      expect(await dying.outcome()).toBe("SIGKILL");
      const accepted = dying.stdout.trimEnd().split("\n");
      expect(accepted).toHaveLength(3);
      // Whoever had no answer asks again.
      const again: AcceptedTurn[] = [];
      for (const user_input of inputs) again.push(await gateway.submit(id, { user_input }, user_input));
      expect(again).toEqual(accepted.map((line) => JSON.parse(line)));
      await expect(gateway.submit(id, { user_input: "other" }, inputs[0] ?? "")).rejects.toMatchObject({
        code: "idempotency_key_reused",
      });
      let ends = 0;
      const log = await until(gateway.events(id, "0"), (event) => isEnd(event) && ++ends === 3);
      expect(log.filter(isEnd).map(({ turn_id }) => turn_id)).toEqual(again.map(({ turn_id }) => turn_id));
      expect(log.filter(({ type }) => type === "USER_INPUT")).toHaveLength(3);
      expect(readFileSync(join(home, "sessions", id, "f.txt"), "utf8")).toBe("abc");
    }));

  test("[LOCAL1] [LOCAL5] that dies while it is asked to cancel has its turn cancelled by whoever asked", () =>
    withScene(async ({ gateway, id, start }) => {
      await using holder = start("execute", "Wait 60 seconds");
      await holder.printed(({ stdout }) => stdout.includes("TOOL_CALL"));
      holder.child.kill("SIGSTOP");
      const cancelling = gateway.cancel(id);
      // It may be at the door by now, where nobody answers, or on its way: either way the turn is cancelled.
      await holder.killGroup("SIGKILL");
      expect(await cancelling).toEqual({ turn_id: printed(holder)[0]?.turn_id });
      const log = await until(gateway.events(id, "0"), isEnd);
      expect(log.at(-1)).toMatchObject({ data: { status: "cancelled" } });
    }));

  test("[LOCAL5] that dies at any event of a turn has done each effect once when the turn is complete", () =>
    withScene(async ({ home, open, id, start }) => {
      const text = "Append 'a' to f.txt, then append 'b' to f.txt, then say 'done'";
      let expected = "";
      for (const at of [3, 5, 6]) {
        await using dying = start("dieAt", text, `${at}`);
        expect(await dying.outcome()).toBe("SIGKILL");
        const gateway = open();
        const { active_turn, last_seq } = await gateway.resumeSession(id);
        // Taking the session makes the turn go on.
        if (active_turn !== null) await until(gateway.events(id, `${last_seq}`), isEnd);
        expected += "ab";
        expect(readFileSync(join(home, "sessions", id, "f.txt"), "utf8"), `killed at ${at}`).toBe(expected);
        await gateway.close();
      }
    }));
});

describe("a process with a gateway that is open", { timeout: 30_000 }, () => {
  const run = (what: string, home: string) => runProcess(process.execPath, [SCRIPT, what, home], { cwd: PROJECT_ROOT });

  test("[LOCAL10] ends by itself when there is nothing to wait for", async () => {
    using folder = new TemporaryFolder();
    const { code, stdout } = await run("runAndLeave", folder.path);
    expect(JSON.parse(stdout)).toMatchObject({ status: "complete", response_text: "hi" });
    expect(code).toBe(0);
  });

  test("[LOCAL10] [ASK10] ends by itself when its turn waits for somebody", async () => {
    using folder = new TemporaryFolder();
    const { code, stdout } = await run("askAndLeave", folder.path);
    expect(JSON.parse(stdout)).toMatchObject({ status: "waiting" });
    expect(code).toBe(0);
  });

  test("[LOCAL10] goes on while an event is awaited", async () => {
    using folder = new TemporaryFolder();
    const { code, stdout } = await run("waitForNothing", folder.path);
    expect(JSON.parse(stdout)).toBe("Error: enough");
    expect(code).toBe(0);
  });
});
