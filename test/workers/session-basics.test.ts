import { expect, it } from "vitest";
import { session } from "../../src/protocol/rest.ts";
import { parsePage } from "../support/event-page.ts";
import { ask, newSession } from "./http-scene.ts";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";

it("[ID5] durations and offsets are in seconds", async () => {
  const scene = await createScene();
  const turn = await scene.run("Wait 0.2 seconds");
  const [result] = (await scene.log()).filter((event) => event.type === "TOOL_RESULT");
  expect(result?.data.duration_seconds).toBeGreaterThanOrEqual(0.2);
  expect(result?.data.duration_seconds).toBeLessThan(20);
  expect(result?.data.time_offset).toBeGreaterThanOrEqual(0.2);
  expect(turn.duration_seconds).toBeGreaterThanOrEqual(result?.data.time_offset ?? 0);
});

it("[CURSOR1] [EVENT3] every cursor that was given leads to exactly what comes after it", async () => {
  const scene = await createScene();
  const socket = await scene.socket({ after: "0" });
  await scene.run("Think for 5 words, then say 'hello', then list .");
  await socket.until(({ type }) => type === "ITERATION_END");
  const log = await scene.log();
  for (const given of [...socket.events, ...log]) {
    const rest = parsePage(unwrap(await scene.stub.events(ADMIN, { after: given.cursor, limit: 1_000, types: null })));
    const later = log.filter(({ seq }) => seq > given.seq).map(({ seq }) => seq);
    // A piece of a block that was not its last is followed by the rest of its block.
    const isPiece = "done" in given.data && !given.data.done;
    expect(rest.events.map(({ seq }) => seq)).toEqual(isPiece ? [given.seq, ...later] : later);
  }
  socket.close();
});

it("[BLOCK1] [BLOCK3] a block that says nothing has no event, and a block has ended before the next begins", async () => {
  const scene = await createScene();
  const socket = await scene.socket();
  await scene.run("Say '', then think for 3 words, then say 'one two', then say 'three four'");
  await socket.until(({ type }) => type === "ITERATION_END");
  const pieces = socket.events.filter((event) => event.type === "TEXT" || event.type === "THINKING");
  expect(new Set(pieces.map(({ seq }) => seq)).size).toBe(3);
  let open: number | null = null;
  for (const { seq, data } of pieces) {
    expect(open ?? seq).toBe(seq);
    open = data.done ? null : seq;
  }
  expect(open).toBeNull();
  socket.close();
});

it("[SESSION7] a session's workspace is its own", async () => {
  const [one, other] = [await newSession(), await newSession()];
  expect(one.workspace_dir).toBe(`sessions/${one.session_id}`);
  const put = await ask("PUT", `sessions/${one.session_id}/files/a.txt`, { body: "mine" });
  expect([put.status, await put.json()]).toMatchObject([201, { path: "a.txt" }]);
  const got = await ask("GET", `sessions/${other.session_id}/files/a.txt`);
  expect([got.status, await got.json()]).toMatchObject([404, { code: "not_found" }]);
});

it("[REST1] everything stands under /api/v1, and answers are JSON", async () => {
  const listed = await ask("GET", "sessions");
  expect([listed.status, listed.headers.get("content-type")]).toEqual([200, "application/json"]);
  session.array().parse((await listed.json<{ sessions: unknown }>()).sessions);
  const outside = await ask("GET", "/sessions");
  expect([outside.status, outside.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
  await outside.text();
});

it("[WAIT4] a wait goes on through a retry and the wait tool", async () => {
  const { session_id } = await newSession();
  const user_input = "Fail with 529 1 times, then wait 0.1 seconds, then say 'done'";
  const answered = await ask("POST", `sessions/${session_id}/turns?wait=60`, { json: { user_input } });
  expect([answered.status, await answered.json()]).toMatchObject([200, { status: "complete", response_text: "done" }]);
});
