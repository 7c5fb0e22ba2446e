/**
 * A chat bot: each channel has a session of its own, which it keeps. This one reads its chat from the terminal, a line such as
 * `general: hello` a message; `say` and the loop at the end are what another chat has in their place.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { ExternalGateway, GatewayError } from "turnpike/client";

const {
  TURNPIKE_GATEWAY_URL: baseUrl = "http://127.0.0.1:8787",
  TURNPIKE_TOKEN: token = "",
  BOT_MEMORY: memory = "channels.json",
} = process.env;

const gateway = new ExternalGateway({ baseUrl, token });

/** Which session a channel has, over restarts. @type {Record<string, string>} */
const sessions = existsSync(memory) ? JSON.parse(readFileSync(memory, "utf8")) : {};

/** The turns whose events are being shown. @type {Set<string>} */
const shown = new Set();

/** What each channel said last is looked at before its next line, which may be about the same. @type {Map<string, Promise<unknown>>} */
const looking = new Map();

/** @param {string} channel @param {string} text */
function say(channel, text) {
  for (const line of text.split("\n")) console.log(`${channel}> ${line}`);
}

/** @param {string} channel */
async function sessionOf(channel) {
  const known = sessions[channel];
  if (known !== undefined) return known;
  // Whoever is in the channel decides on what changes files.
  const { session_id } = await gateway.createSession({ title: `#${channel}`, permissions: { write: "ask" } });
  sessions[channel] = session_id;
  writeFileSync(memory, JSON.stringify(sessions));
  return session_id;
}

/** @param {string} channel @param {string} text */
async function hear(channel, text) {
  const look = (looking.get(channel) ?? Promise.resolve()).then(() => take(channel, text));
  looking.set(
    channel,
    look.catch(() => undefined),
  );
  try {
    const events = await look;
    if (events !== null) await show(channel, events);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    say(channel, `I am sorry: ${thrown.message} (${thrown.code})`);
  }
}

/**
 * Whatever the session waits for, since this process began or before, is answered by the next line of its channel; any other
 * line is a message. The events that come of it, unless they are shown already.
 *
 * @param {string} channel @param {string} text
 */
async function take(channel, text) {
  const sessionId = await sessionOf(channel);
  const { last_seq, pending_inputs } = await gateway.resumeSession(sessionId);
  const [open] = pending_inputs.flatMap((one) => ("input_id" in one ? [one] : []));
  if (open === undefined) return gateway.execute(sessionId, { user_input: text });
  const { turn_id } = await gateway.answer(sessionId, open.input_id, answerFor(open.kind, text));
  if (shown.has(turn_id)) return null;
  shown.add(turn_id);
  return restOf(sessionId, turn_id, `${last_seq}`);
}

/** An approval takes `allow` or `deny`; a question takes whatever is said. @param {string} kind @param {string} text */
function answerFor(kind, text) {
  if (kind !== "approval") return text;
  return /^(yes|ok|sure)\b/i.test(text) ? "allow" : "deny";
}

/** The events of a turn after a cursor. @param {string} sessionId @param {string} turnId @param {string} after */
async function* restOf(sessionId, turnId, after) {
  for await (const event of gateway.events(sessionId, after)) {
    if (event.turn_id !== turnId) continue;
    yield event;
    if (event.type === "ITERATION_END") return;
  }
}

/** The events of a turn, which counts as shown meanwhile. @param {AsyncIterable<import("turnpike/client").Event>} events */
async function* marked(events) {
  let turnId = "";
  try {
    for await (const event of events) {
      turnId = event.turn_id ?? turnId;
      shown.add(turnId);
      yield event;
    }
  } finally {
    shown.delete(turnId);
  }
}

/** @param {string} channel @param {AsyncIterable<import("turnpike/client").Event>} events */
async function show(channel, events) {
  // A message is sent a line at a time. A chat whose messages can be edited would show each piece.
  let line = "";
  for await (const event of marked(events)) {
    switch (event.type) {
      case "TEXT": {
        const lines = `${line}${event.data.text}`.split("\n");
        line = lines.pop() ?? "";
        for (const whole of lines) say(channel, whole);
        if (event.data.done && line !== "") say(channel, line);
        if (event.data.done) line = "";
        break;
      }
      case "STATUS":
        // The model broke off, and says it anew.
        if ((event.data.status === "retrying" || event.data.status === "resumed") && event.data.discard.length > 0) {
          line = "";
          say(channel, "(once more)");
        }
        break;
      case "AUTH_REQUIRED":
        say(channel, `${event.data.message} (${event.data.kind === "approval" ? "yes or no" : "your answer"}?)`);
        break;
      case "WORK_PRODUCT":
        say(channel, `I made ${event.data.path}.`);
        break;
      case "ERROR":
        say(channel, `Something went wrong: ${event.data.message}`);
        break;
      case "ITERATION_END":
        if (event.data.status !== "complete") say(channel, `(${event.data.status})`);
    }
  }
}

/** Turns that are under way; a channel may say more meanwhile. @type {Promise<void>[]} */
const heard = [];
for await (const line of createInterface({ input: process.stdin })) {
  const [, channel, text] = /^(\w+): *(.+)$/.exec(line) ?? [];
  if (channel === undefined || text === undefined) console.error("Write CHANNEL: MESSAGE");
  else heard.push(hear(channel, text));
}
await Promise.all(heard);
await gateway.close();
