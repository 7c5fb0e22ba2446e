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

/** @typedef {{ input_id: string, kind: string }} Asked */
/** What a channel is asked, the oldest first: the next message there answers it. @type {Map<string, Asked[]>} */
const asked = new Map();

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
  try {
    const sessionId = await sessionOf(channel);
    const [open] = asked.get(channel) ?? [];
    if (open === undefined) await takeTurn(channel, sessionId, text);
    else await gateway.answer(sessionId, open.input_id, answerFor(open, text));
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    say(channel, `I am sorry: ${thrown.message} (${thrown.code})`);
  }
}

/** An approval takes `allow` or `deny`; a question takes whatever is said. @param {Asked} open @param {string} text */
function answerFor({ kind }, text) {
  if (kind !== "approval") return text;
  return /^(yes|ok|sure)\b/i.test(text) ? "allow" : "deny";
}

/** @param {string} channel @param {string} sessionId @param {string} text */
async function takeTurn(channel, sessionId, text) {
  // A message is sent a line at a time. A chat whose messages can be edited would show each piece.
  let line = "";
  for await (const event of gateway.execute(sessionId, { user_input: text })) {
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
        // Here or elsewhere, or the time was up.
        if (event.data.status === "answered") forget(channel, event.data.input_id);
        break;
      case "AUTH_REQUIRED":
        asked.set(channel, [...(asked.get(channel) ?? []), event.data]);
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

/** @param {string} channel @param {string} inputId */
function forget(channel, inputId) {
  asked.set(
    channel,
    (asked.get(channel) ?? []).filter(({ input_id }) => input_id !== inputId),
  );
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
