import { expect, test, vi } from "vitest";
import { CLOSE_CODES } from "../../src/protocol/frames.ts";
import { SOCKET_TOKEN_RETRY_MS, TOKEN_CACHE_MS } from "../../src/protocol/limits.ts";
import { useClock } from "./platform.ts";
import { aroundStorage, createDoor, failure } from "./storage-faults.ts";
import { asAdmin, newToken, openStream, revokeInDatabase, tokenWithSession } from "./token-scene.ts";

const say = (id: number) => ({ type: "execute", id, data: { user_input: "Say 'x'" } }) as const;
const UNAUTHENTICATED = { code: CLOSE_CODES.unauthenticated };

test("[TOKEN16] a revoked token does nothing over its sockets though nobody told their session, and D1 is asked once in 30 s", async () => {
  const clock = useClock();
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const other = await newToken({ user_id: mine.user_id });
  const [socket, second] = [await openStream(session_id, mine), await openStream(session_id, mine)];
  const [admin, others] = [await openStream(session_id, asAdmin), await openStream(session_id, other)];
  let asked = 0;
  aroundStorage(({ name, bound, go }) => {
    if (name === "D1 all" && (bound.includes(token_id) || bound.includes('"gateway"'))) asked++;
    return go();
  });
  for (const id of [1, 2]) {
    socket.send(say(id));
    await socket.control("query_complete", id);
  }
  expect(asked).toBe(1);
  await revokeInDatabase(token_id);
  clock.putForward(TOKEN_CACHE_MS);
  // What does nothing is not what is asked about.
  socket.send({ type: "ping", id: 3 });
  await socket.control("pong", 3);
  socket.send(say(4));
  expect(await socket.untilClosed()).toMatchObject(UNAUTHENTICATED);
  expect(await second.untilClosed()).toMatchObject(UNAUTHENTICATED);
  expect(asked).toBe(2);
  for (const [id, one] of [admin, others].entries()) {
    one.send(say(id));
    await one.control("query_complete", id);
    one.close();
  }
  expect(asked).toBe(2);
  expect(others.events.filter(({ type }) => type === "USER_INPUT")).toHaveLength(4);
});

test("[TOKEN16] while D1 is away frames of a token that it would have to be asked for are unavailable; a socket stays open", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const clock = useClock();
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const socket = await openStream(session_id, mine);
  let asked = 0;
  let isAway = true;
  aroundStorage(({ name, bound, go }) => {
    if (!isAway || name !== "D1 all" || !bound.includes(token_id)) return go();
    asked++;
    return failure();
  });
  for (const id of [1, 2]) {
    socket.send(say(id));
    expect((await socket.control("error", id)).data.code).toBe("unavailable");
  }
  expect(asked).toBe(1);
  isAway = false;
  clock.putForward(SOCKET_TOKEN_RETRY_MS);
  socket.send(say(3));
  await socket.control("query_complete", 3);
  socket.close();
  vi.restoreAllMocks();
});

test("[TOKEN16] [LIMIT9] what comes while D1 is asked for a token waits for it, and keeps its order", async () => {
  const { token_id, session_id, ...mine } = await tokenWithSession();
  const [socket, admin] = [await openStream(session_id, mine), await openStream(session_id, asAdmin)];
  const door = createDoor();
  aroundStorage(async ({ name, bound, go }) => {
    if (name === "D1 all" && bound.includes(token_id)) await door.pass();
    return go();
  });
  const said = (text: string) => ({ type: "execute", id: text, data: { user_input: `Say '${text}'` } }) as const;
  socket.send(said("first"));
  socket.send({ type: "ping", id: "a ping" });
  await socket.control("pong", "a ping");
  admin.send(said("second"));
  admin.send({ type: "ping", id: "a ping" });
  await admin.control("pong", "a ping");
  socket.send(said("third"));
  door.open();
  await Promise.all([socket.control("accepted", "third"), admin.control("accepted", "second")]);
  await socket.control("query_complete", "third");
  const inputs = admin.events.flatMap(({ type, data }) => (type === "USER_INPUT" ? [JSON.stringify(data)] : []));
  expect(inputs.map((input) => /Say '(\w+)'/.exec(input)?.[1])).toEqual(["first", "second", "third"]);
  for (const one of [socket, admin]) one.close();
});
