/** A bot on plain HTTP, without a library: `node bot.mjs "a message"`. Text goes to stdout, everything else to stderr. */
import { setTimeout as pause } from "node:timers/promises";

const {
  TURNPIKE_GATEWAY_URL: gateway = "http://127.0.0.1:8787",
  TURNPIKE_TOKEN: token = "",
  TURNPIKE_SESSION: given,
} = process.env;
const api = `${gateway}/api/v1`;

/** Between two tries: the pause grows from the one to the other. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** So long it is tried for, with nothing heard. The turn goes on without the bot, and its session keeps it. */
const GIVE_UP_AFTER_MS = 300_000;

/** The gateway's own no, which no other try changes. */
class Refusal extends Error {}

/** @param {string} path @param {RequestInit} [init] */
async function request(path, init = {}) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...init.headers };
  const response = await fetch(`${api}${path}`, { ...init, headers });
  if (response.ok) return response;
  const body = await response.text();
  // A gateway that restarts, or a proxy before it.
  if (response.status >= 500 || response.status === 429) throw new Error(`HTTP ${response.status}`);
  const { code, detail } = JSON.parse(body);
  throw new Refusal(`${detail} (${code})`);
}

async function createSession() {
  const response = await request("/sessions", { method: "POST", body: "{}" });
  return JSON.parse(await response.text()).session_id;
}

/** The events of a stream, as far as it goes. @param {Response} response */
async function* eventsOf(response) {
  if (response.body === null) return;
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = `${text}${piece}`.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data:")) yield JSON.parse(line.slice(5));
  }
}

/** All events of one turn; where a stream breaks off, the next one begins after the cursor of the last event. */
async function* turn(/** @type {string} */ session, /** @type {string} */ message) {
  // With its key the message can be sent again without being taken twice.
  const init = {
    method: "POST",
    body: JSON.stringify({ user_input: message }),
    headers: { accept: "text/event-stream", "idempotency-key": crypto.randomUUID() },
  };
  const headers = { accept: "text/event-stream" };
  let turnId = null;
  let cursor = "";
  let pauseMs = FIRST_PAUSE_MS;
  let heardAt = Date.now();
  for (;;) {
    let openedAt = Number.POSITIVE_INFINITY;
    /** @type {unknown} */
    let why = "it ended";
    try {
      const response = await (cursor === ""
        ? request(`/sessions/${session}/turns`, init)
        : request(`/sessions/${session}/events?after=${encodeURIComponent(cursor)}`, { headers }));
      openedAt = Date.now();
      turnId ??= response.headers.get("turnpike-turn-id");
      for await (const event of eventsOf(response)) {
        cursor = event.cursor;
        pauseMs = FIRST_PAUSE_MS;
        heardAt = Date.now();
        if (event.turn_id === turnId) yield event;
        if (event.turn_id === turnId && event.type === "ITERATION_END") return;
      }
    } catch (thrown) {
      if (thrown instanceof Refusal) throw thrown;
      why = thrown;
    }
    // A turn may wait for a person for days: a stream that was open for long was quiet, and not broken.
    if (Date.now() - openedAt > LONGEST_PAUSE_MS) heardAt = Date.now();
    if (Date.now() - heardAt > GIVE_UP_AFTER_MS) throw new Error("The gateway cannot be reached.", { cause: why });
    console.error(`The stream broke off (${why}); on again in ${pauseMs} ms.`);
    await pause(pauseMs);
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
  }
}

const message = process.argv.slice(2).join(" ");
if (message === "") {
  console.error('Usage: node bot.mjs "a message"');
  process.exit(2);
}
const session = given ?? (await createSession());
console.error(`session ${session}`);
for await (const { type, data } of turn(session, message)) {
  if (type === "TEXT") process.stdout.write(data.text);
  if (type === "TOOL_CALL") console.error(`${data.name} ${JSON.stringify(data.input)}`);
  if (type === "WORK_PRODUCT") console.error(`made ${data.path}`);
  if (type === "ERROR") console.error(data.message);
  if (type === "ITERATION_END") {
    console.error(data.status);
    process.exitCode = data.status === "complete" ? 0 : 1;
  }
}
