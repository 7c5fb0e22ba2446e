/** A bot on plain HTTP, without a library: `node bot.mjs "a message"`. Text goes to stdout, everything else to stderr. */
const {
  TURNPIKE_GATEWAY_URL: gateway = "http://127.0.0.1:8787",
  TURNPIKE_TOKEN: token = "",
  TURNPIKE_SESSION: given,
} = process.env;
const api = `${gateway}/api/v1`;

/** @param {string} path @param {RequestInit} [init] */
async function request(path, init = {}) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...init.headers };
  const response = await fetch(`${api}${path}`, { ...init, headers });
  if (response.ok) return response;
  const { code, detail } = JSON.parse(await response.text());
  throw new Error(`${detail} (${code})`);
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
  let response = await request(`/sessions/${session}/turns`, init);
  const turnId = response.headers.get("turnpike-turn-id");
  for (let cursor = null; ; ) {
    try {
      for await (const event of eventsOf(response)) {
        cursor = event.cursor;
        if (event.turn_id === turnId) yield event;
        if (event.turn_id === turnId && event.type === "ITERATION_END") return;
      }
    } catch (thrown) {
      console.error(`The stream broke off: ${thrown}`);
    }
    const headers = { accept: "text/event-stream" };
    response =
      cursor === null
        ? await request(`/sessions/${session}/turns`, init)
        : await request(`/sessions/${session}/events?after=${encodeURIComponent(cursor)}`, { headers });
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
