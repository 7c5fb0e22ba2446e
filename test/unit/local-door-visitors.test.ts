import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { cancelThroughDoor, followDoor } from "../../src/local/visit-door.ts";
import { DOOR_REQUEST_MAX_BYTES, NEVER_ACKED_MAX_BYTES } from "../../src/protocol/limits.ts";
import { createDoorScene, nextText } from "../support/door-scene.ts";
import type { LogBehindDoor } from "../support/log-behind-door.ts";

const FOLLOW = '{"type":"follow","after":"0"}\n';

/** Sends bytes to a door, and returns all that it answers until it hangs up. */
async function knock(path: string, ...pieces: (string | Uint8Array)[]): Promise<string> {
  const socket = createConnection(path);
  for (const piece of pieces) socket.write(piece);
  return readAll(socket);
}

async function readAll(socket: Socket): Promise<string> {
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  await once(socket, "close");
  return answer;
}

describe("bad visitors", () => {
  const tooLong = "x".repeat(DOOR_REQUEST_MAX_BYTES + 1);
  test.for<[string, (string | Uint8Array)[], string]>([
    ["no JSON", ["hello\n"], "invalid_request"],
    ["an empty line", ["\n"], "invalid_request"],
    ["no UTF-8", [Uint8Array.of(0xff, 0x0a)], "invalid_request"],
    ["an unknown request", ['{"type":"delete"}\n'], "invalid_request"],
    ["an unknown field", ['{"type":"cancel","id":1}\n'], "invalid_request"],
    ["an answer without an input", ['{"type":"answer","data":{"response":"allow"}}\n'], "invalid_request"],
    ["a result that is no text", ['{"type":"give","data":{"tool_use_id":"a","content":1}}\n'], "invalid_request"],
    ["a wrong type", ['{"type":"follow","after":0}\n'], "invalid_request"],
    ["deep JSON", [`${"[".repeat(500)}\n`], "invalid_request"],
    ["a line that is too long", [`${tooLong}\n`], "too_large"],
    ["a line that is too long and does not end", [tooLong], "too_large"],
    ["two requests", ['{"type":"cancel"}\n{"type":"cancel"}\n'], "invalid_request"],
  ])("[HOLD9] %s is refused", async ([, pieces, code]) => {
    await using scene = await createDoorScene();
    const refusal = JSON.parse(await knock(scene.path, ...pieces));
    expect(refusal).toEqual({ type: "error", data: { code, message: expect.any(String) } });
    await scene.session.followedBy(0);
    expect(await cancelThroughDoor(scene.path)).toEqual({ turn_id: null });
  });

  test("[HOLD9] a visitor that says nothing, or only begins to, is sent away", async () => {
    await using scene = await createDoorScene({ requestTimeoutMs: 1 });
    expect(await knock(scene.path)).toContain('"invalid_request"');
    const hesitant = createConnection(scene.path);
    // It may be sent away before it has said anything, and then cannot.
    hesitant.on("error", () => {}).write('{"type":');
    await new Promise((closed) => hesitant.resume().on("close", closed));
  });

  test("[HOLD9] a follower that says more than one thing is sent away, others are not", async () => {
    await using scene = await createDoorScene();
    const events = followDoor(scene.path, "0");
    const socket = createConnection(scene.path);
    socket.write(FOLLOW);
    const next = events.next();
    await scene.session.followedBy(2);
    socket.write("x\n");
    expect(await readAll(socket)).toContain('"invalid_request"');
    await scene.session.followedBy(1);
    scene.session.append("1");
    expect(await next).toMatchObject({ value: { seq: 1 } });
    await events.return(undefined);
  });

  test("[HOLD9] a visitor that never ends its line, one that hangs up and one that resets do no harm", async () => {
    await using scene = await createDoorScene();
    const endless = createConnection(scene.path);
    endless.on("error", () => {});
    const pour = () => {
      while (endless.write(tooLong));
    };
    endless.on("drain", pour);
    pour();
    await new Promise((closed) => endless.on("close", closed));
    for (const bytes of ["", "{", FOLLOW, '{"type":"cancel"}\n']) {
      const hanging = createConnection(scene.path);
      await once(hanging, "connect");
      hanging.resume().end(bytes);
      await once(hanging, "close");
      const rude = createConnection(scene.path);
      await once(rude, "connect");
      rude.write(bytes);
      rude.destroy();
    }
    await scene.session.followedBy(0);
    scene.session.append("1");
    const events = followDoor(scene.path, "0");
    expect(await nextText(events)).toBe("1");
    await events.return(undefined);
  });
});

describe("slow followers", () => {
  const MEGABYTE = "x".repeat(1_000_000);

  /** Follows, and reads nothing. */
  async function followIdly({ path, session }: { path: string; session: LogBehindDoor }): Promise<Socket> {
    const socket = createConnection(path);
    socket.write(FOLLOW);
    await session.followedBy(1);
    return socket;
  }

  test("[HOLD9] one that is too far behind is cut off after a whole event; others notice nothing", async () => {
    await using scene = await createDoorScene();
    const idle = await followIdly(scene);
    const events = followDoor(scene.path, "0");
    const count = Math.ceil(NEVER_ACKED_MAX_BYTES / MEGABYTE.length) + 3;
    for (let i = 0; i < count; i++) {
      const next = nextText(events);
      if (i === 0) await scene.session.followedBy(2);
      scene.session.append(`${i}${MEGABYTE}`);
      expect(await next).toBe(`${i}${MEGABYTE}`);
    }
    await scene.session.followedBy(1);
    await events.return(undefined);
    const lines = (await readAll(idle)).split("\n");
    expect(lines.pop()).toBe("");
    const seen = lines.map((line): unknown => JSON.parse(line));
    expect(seen.length).toBeLessThan(count);
    expect(seen).toEqual(seen.map((_, i) => expect.objectContaining({ seq: i + 1 })));
    const rest = followDoor(scene.path, `${seen.length}`);
    expect(await nextText(rest)).toBe(`${seen.length}${MEGABYTE}`);
    await rest.return(undefined);
  });

  test("[HOLD9] a past that is larger than what may wait comes in parts, none of them twice", async () => {
    await using scene = await createDoorScene();
    const count = Math.ceil(NEVER_ACKED_MAX_BYTES / MEGABYTE.length) * 2;
    for (let i = 0; i < count; i++) scene.session.append(MEGABYTE);
    let seen = 0;
    let visits = 0;
    for (; seen < count; visits++) {
      for await (const { seq } of followDoor(scene.path, `${seen}`)) {
        expect(seq).toBe(seen + 1);
        seen = seq;
        if (seen === count) break;
      }
    }
    expect(visits).toBeGreaterThan(1);
    expect(visits).toBeLessThan(5);
  });

  test("[HOLD9] one that is cut off while it is sent the past is not sent what comes", async () => {
    await using scene = await createDoorScene();
    const count = Math.ceil(NEVER_ACKED_MAX_BYTES / MEGABYTE.length) + 3;
    for (let i = 0; i < count; i++) scene.session.append(MEGABYTE);
    const idle = createConnection(scene.path);
    idle.write(FOLLOW);
    await once(idle, "readable");
    await scene.session.followedBy(0);
    idle.destroy();
  });

  test("[HOLD9] a follower that reads nothing does not keep the door from closing", async () => {
    await using scene = await createDoorScene();
    const idle = await followIdly(scene);
    scene.session.append(MEGABYTE, MEGABYTE);
    await scene.door[Symbol.asyncDispose]();
    idle.destroy();
  });
});
