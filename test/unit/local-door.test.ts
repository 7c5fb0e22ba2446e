import { once } from "node:events";
import { mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { openDoor } from "../../src/local/door.ts";
import { answerThroughDoor, cancelThroughDoor, followDoor, giveThroughDoor } from "../../src/local/visit-door.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { LiveBlock } from "../../src/session/live-block.ts";
import { createDoorScene, doorPath, doorsRoot, errorWith, nextText, textOf } from "../support/door-scene.ts";
import { entriesOf } from "../support/entries-of.ts";
import { pageOf } from "../support/event-page.ts";
import { PROJECT_ROOT } from "../support/gateway-process.ts";
import { LogBehindDoor, TURN } from "../support/log-behind-door.ts";
import { LogFollower } from "../support/log-follower.ts";
import { RunningProcess } from "../support/run-process.ts";

const SCRIPT = fileURLToPath(new URL("../support/door-process.ts", import.meta.url));

function start(what: string, path: string): RunningProcess {
  return new RunningProcess(process.execPath, [SCRIPT, what, path], { cwd: PROJECT_ROOT });
}

const isOpen = ({ stdout }: RunningProcess) => stdout === "open\n";

/** A holder of another kind, that answers whoever comes as the test says. */
async function listen(path: string, answer: (socket: Socket) => unknown) {
  const server = createServer((socket) => void answer(socket.resume())).listen(path);
  await once(server, "listening");
  return server;
}

describe("following", () => {
  test("[HOLD6] a follower gets what came after its cursor, then what comes", async () => {
    await using scene = await createDoorScene();
    scene.session.append("1", "2");
    const events = followDoor(scene.path, "1");
    expect(await nextText(events)).toBe("2");
    scene.session.append("3 é 🚀\n");
    expect(await nextText(events)).toBe("3 é 🚀\n");
    await events.return(undefined);
    await scene.session.followedBy(0);
  });

  test("[HOLD6] whenever a follower comes and goes, it has the log, each event and each character once", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("append" as const), text: fc.string({ unit: "binary" }) }),
      fc.record({ do: fc.constant("say" as const), text: fc.string({ unit: "binary", minLength: 1 }) }),
      fc.record({ do: fc.constant("end" as const) }),
      fc.record({ do: fc.constant("catch up" as const) }),
      fc.record({ do: fc.constant("come back" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        await using scene = await createDoorScene();
        const { session, path } = scene;
        const follower = new LogFollower("0", 0);
        let events = followDoor(path, "0");
        const catchUp = async () => {
          const end = session.log.cursor();
          while (follower.position !== end) {
            const { value } = await events.next();
            follower.take(value);
          }
        };
        let block: LiveBlock | null = null;
        for (const one of steps) {
          switch (one.do) {
            case "append":
              session.append(one.text);
              break;
            case "say":
              block ??= session.openText();
              block.append(one.text);
              break;
            case "end":
              session.commitBlocks();
              block = null;
              break;
            case "catch up":
              await catchUp();
              break;
            case "come back":
              await events.return(undefined);
              events = followDoor(path, follower.position);
          }
        }
        session.commitBlocks();
        await catchUp();
        await events.return(undefined);
        expect(follower.entries).toEqual(entriesOf(pageOf(session.log, "0", 1_000).events));
      }),
      { numRuns: 50 },
    );
  });

  test("[HOLD6] a stream that comes a byte at a time is the same", async () => {
    const session = new LogBehindDoor();
    session.append("é🚀", "two");
    const lines = Array.from(session.log.replay("0"), ({ json }) => `${json}\n`).join("");
    const path = join(doorsRoot, "bytes");
    await using _server = await listen(path, async (socket) => {
      for (const byte of Buffer.from(lines)) await new Promise((sent) => socket.write(Uint8Array.of(byte), sent));
      socket.end();
    });
    expect((await Array.fromAsync(followDoor(path, "0"))).map(textOf)).toEqual(["é🚀", "two"]);
  });

  test("[HOLD6] many follow at once, each from where it was", async () => {
    await using scene = await createDoorScene();
    const texts = Array.from({ length: 20 }, (_, i) => `${i}`);
    scene.session.append(...texts);
    const all = texts.map((_, from) => Array.fromAsync(followDoor(scene.path, `${from}`)));
    await scene.session.followedBy(texts.length);
    scene.session.append("live");
    await scene.door[Symbol.asyncDispose]();
    for (const [from, events] of all.entries()) {
      expect((await events).map(textOf)).toEqual([...texts.slice(from), "live"]);
    }
  });

  test("[HOLD6] a cursor that the log does not know is bad_cursor", async () => {
    await using scene = await createDoorScene();
    for (const cursor of ["1", "x", "", "0~0.0"]) {
      await expect(followDoor(scene.path, cursor).next()).rejects.toEqual(errorWith("bad_cursor"));
    }
  });

  test("[HOLD6] an aborted follower throws the signal's reason, wherever it was", async () => {
    await using scene = await createDoorScene();
    scene.session.append("1", "2");
    const reason = new Error("enough");
    await expect(followDoor(scene.path, "0", AbortSignal.abort(reason)).next()).rejects.toBe(reason);
    const between = new AbortController();
    const events = followDoor(scene.path, "0", between.signal);
    expect(await nextText(events)).toBe("1");
    between.abort(reason);
    await expect(events.next()).rejects.toBe(reason);
    const waiting = new AbortController();
    const more = followDoor(scene.path, "2", waiting.signal).next();
    await scene.session.followedBy(1);
    waiting.abort(reason);
    await expect(more).rejects.toBe(reason);
    await scene.session.followedBy(0);
  });
});

describe("the end", () => {
  test("[HOLD7] when the holder closes its door, followers still get all that was sent", async () => {
    await using scene = await createDoorScene();
    const texts = Array.from({ length: 500 }, (_, i) => `${i} ${"x".repeat(2_000)}`);
    const events = Array.fromAsync(followDoor(scene.path, "0"));
    await scene.session.followedBy(1);
    scene.session.append(...texts);
    await scene.door[Symbol.asyncDispose]();
    await scene.door[Symbol.asyncDispose]();
    expect((await events).map(textOf)).toEqual(texts);
    expect(statSync(scene.path, { throwIfNoEntry: false })).toBe(undefined);
    expect(await Array.fromAsync(followDoor(scene.path, "0"))).toEqual([]);
  });

  test("[HOLD7] when the holder is killed, following ends, and the next holder opens a door in the same place", async () => {
    const path = doorPath();
    await using holder = start("stay", path);
    await holder.printed(isOpen);
    const events = followDoor(path, "0");
    expect([await nextText(events), await nextText(events)]).toEqual(["one", "two"]);
    await holder.killGroup("SIGKILL");
    expect(await events.next()).toEqual({ done: true, value: undefined });
    expect(await Array.fromAsync(followDoor(path, "2"))).toEqual([]);
    const session = new LogBehindDoor();
    await using _door = await openDoor(path, session);
    session.append("one", "two", "three");
    const next = followDoor(path, "2");
    expect(await nextText(next)).toBe("three");
    await next.return(undefined);
  });

  test("[HOLD7] an event of which only a part came is left for later", async () => {
    const session = new LogBehindDoor();
    session.append("whole", "half");
    const [whole, half] = Array.from(session.log.replay("0"), ({ json }) => json);
    const path = join(doorsRoot, "half");
    await using _server = await listen(path, (socket) => socket.end(`${whole}\n${half?.slice(0, 40)}`));
    expect((await Array.fromAsync(followDoor(path, "0"))).map(textOf)).toEqual(["whole"]);
  });

  test("[HOLD7] what no holder sends is an error", async () => {
    const path = join(doorsRoot, "strange");
    await using _server = await listen(path, (socket) => socket.end('{"type":"hello"}\n'));
    await expect(followDoor(path, "0").next()).rejects.toEqual(errorWith("internal"));
  });

  test("[HOLD7] where there is no door, or none any more, following ends at once", async () => {
    mkdirSync(join(doorsRoot, "doors"), { recursive: true });
    const file = doorPath();
    writeFileSync(file, "");
    for (const path of [doorPath(), file, join(doorsRoot, "none", "1")]) {
      expect(await Array.fromAsync(followDoor(path, "0"))).toEqual([]);
      expect(await cancelThroughDoor(path)).toBe(null);
    }
  });
});

describe("cancelling", () => {
  test("[HOLD8] another process has the running turn cancelled, and learns which it was", async () => {
    await using scene = await createDoorScene();
    scene.session.onCancel = async () => ({ turn_id: TURN });
    expect(await cancelThroughDoor(scene.path)).toEqual({ turn_id: TURN });
  });

  test("[HOLD8] what keeps the holder from cancelling is told, but nothing that nobody foresaw", async () => {
    await using scene = await createDoorScene();
    scene.session.onCancel = () => Promise.reject(new GatewayError("not_found", "gone"));
    await expect(cancelThroughDoor(scene.path)).rejects.toEqual(errorWith("not_found"));
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    scene.session.onCancel = () => Promise.reject(new Error("secret"));
    await expect(cancelThroughDoor(scene.path)).rejects.toEqual(errorWith("internal"));
    await expect(cancelThroughDoor(scene.path)).rejects.not.toThrow("secret");
    expect(logged).toHaveBeenCalled();
    logged.mockRestore();
  });

  test("[HOLD8] a holder that goes before it has answered is nobody; an aborted wait throws the signal's reason", async () => {
    await using scene = await createDoorScene();
    let asked = Promise.withResolvers<void>();
    scene.session.onCancel = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const reason = new Error("enough");
    const abort = new AbortController();
    const aborted = cancelThroughDoor(scene.path, abort.signal);
    await asked.promise;
    abort.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    asked = Promise.withResolvers();
    const answer = cancelThroughDoor(scene.path);
    await asked.promise;
    await scene.door[Symbol.asyncDispose]();
    expect(await answer).toBe(null);
  });
});

describe("answering", () => {
  test("[LOCAL14] another process has what is asked answered, and learns what came of it", async () => {
    await using scene = await createDoorScene();
    const { path, session } = scene;
    const answer = { input_id: "input_01JZZZZZZZZZZZZZZZZZZZZZZZ", response: `é${"x".repeat(2_000)}\n` };
    expect(await answerThroughDoor(path, answer)).toEqual({ ...answer, turn_id: TURN });
    const refused = answerThroughDoor(path, { ...answer, response: "no" });
    await expect(refused).rejects.toEqual(errorWith("already_answered"));
    const result = { tool_use_id: "toolu_1", content: "é".repeat(300_000), is_error: true };
    expect(await giveThroughDoor(path, result)).toEqual({ tool_use_id: "toolu_1", turn_id: TURN });
    expect([...session.log.replay("0")]).toHaveLength(1);
    const tooLarge = giveThroughDoor(path, { ...result, content: "\u0001".repeat(300_000) });
    await expect(tooLarge).rejects.toEqual(errorWith("too_large"));
  });

  test("[LOCAL14] where nobody is there, or goes without a word, there is no answer", async () => {
    const { path, door } = await createDoorScene();
    await door[Symbol.asyncDispose]();
    expect(await answerThroughDoor(path, { input_id: "input_1", response: "allow" })).toBe(null);
    expect(await giveThroughDoor(path, { tool_use_id: "toolu_1", content: "" })).toBe(null);
  });
});

describe("the socket", () => {
  test("[HOLD10] nobody else may use it", async () => {
    await using scene = await createDoorScene();
    expect(statSync(scene.path).mode & 0o777).toBe(0o600);
    const path = join(doorsRoot, "new", "doors", "1");
    await using _door = await openDoor(path, new LogBehindDoor());
    expect([path, dirname(path), dirname(dirname(path))].map((one) => statSync(one).mode & 0o777)).toEqual([
      0o600, 0o700, 0o700,
    ]);
  });

  test("[HOLD10] a socket that cannot be reached, for another reason than that nobody is there, is unavailable", async () => {
    const path = join(doorsRoot, "loop");
    symlinkSync(path, path);
    await expect(followDoor(path, "0").next()).rejects.toEqual(errorWith("unavailable", "ELOOP"));
  });

  test("[HOLD10] a process whose door is open, and followed, ends when it has nothing else to do", async () => {
    const path = doorPath();
    await using holder = start("leave", path);
    await holder.printed(isOpen);
    expect((await Array.fromAsync(followDoor(path, "0"))).map(textOf)).toEqual(["one", "two"]);
    expect([await holder.outcome(), holder.stderr]).toEqual([0, ""]);
  });

  test("[HOLD10] a path that is too long for the system is refused with what it may have, and what to do", async () => {
    const allowed = process.platform === "linux" ? 107 : 103;
    const longest = `${join(doorsRoot, "é")}${"x".repeat(allowed)}`;
    const fitting = Buffer.from(longest).subarray(0, allowed).toString();
    const session = new LogBehindDoor();
    session.append("1");
    await using _door = await openDoor(fitting, session);
    const events = followDoor(fitting, "0");
    expect(await nextText(events)).toBe("1");
    await events.return(undefined);
    const refusal = errorWith("invalid_request", `${allowed} bytes`, `has ${allowed + 1}`, "TURNPIKE_HOME");
    await expect(openDoor(`${fitting}x`, session)).rejects.toEqual(refusal);
    await expect(followDoor(`${fitting}x`, "0").next()).rejects.toEqual(refusal);
    await expect(cancelThroughDoor(`${fitting}x`)).rejects.toEqual(refusal);
  });
});
