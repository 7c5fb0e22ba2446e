/**
 * A process that holds sessions, to be killed: `node in-process-process.ts <holder>`. It does what each line on stdin
 * says, and goes on with every session that it is asked about, as `turnpike resume` does. It ends when stdin does.
 */
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { Home, homeFolder } from "../../src/local/home.ts";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
import { readStored } from "../../src/local/stored-session.ts";
import { GatewayError, toGatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import { sessionId as sessionIdShape } from "../../src/protocol/ids.ts";
import type { CreateSessionBody, Session } from "../../src/protocol/rest.ts";
import type { Reply } from "./host.ts";
import { type Command, KEY, type Told } from "./in-process-wire.ts";

const folder = homeFolder(process.env["TURNPIKE_HOME"]);
const gateway = new InProcessGateway({ home: folder, models: process.env, holder: process.argv[2] ?? "chaos" });
const home = Home.open(folder);

const tell = (told: Told) => process.stdout.write(`${JSON.stringify(told)}\n`);

/** Sessions that this process goes on with, whoever holds them now. */
const attended = new Set<string>();

function attend(sessionId: string): void {
  if (attended.has(sessionId)) return;
  attended.add(sessionId);
  const goOn = async () => {
    const { last_seq } = await gateway.resumeSession(sessionId);
    for await (const _ of gateway.events(sessionId, `${last_seq}`));
  };
  goOn().catch((thrown: unknown) => {
    attended.delete(sessionId);
    const { code } = toGatewayError(thrown);
    if (code !== "not_found" && code !== "unavailable") console.error("attend:", thrown);
  });
}

async function answer(command: Command): Promise<unknown> {
  if ("sessionId" in command && command.do !== "delete") attend(command.sessionId);
  switch (command.do) {
    case "create":
      return await create(command.body, command.key);
    case "submit":
      return await gateway.submit(command.sessionId, command.body, command.key);
    case "describe":
      return await gateway.resumeSession(command.sessionId);
    case "cancel":
      return await gateway.cancel(command.sessionId);
    case "cancelTurn":
      return await cancelTurn(command.sessionId, command.turnId);
    case "reply":
      return await reply(command.sessionId, command.reply);
    case "delete":
      return await gateway.deleteSession(command.sessionId);
    case "log":
      return await readLog(command.sessionId);
    case "files":
      return await readFiles(command.sessionId);
    case "watch":
      for await (const event of gateway.events(command.sessionId, command.after)) tell({ id: command.id, event });
      return null;
  }
}

/** Returns whether the turn waited, a moment before. */
async function cancelTurn(sessionId: string, turnId: string): Promise<boolean> {
  const { queued_turns } = await gateway.resumeSession(sessionId);
  await gateway.cancelTurn(sessionId, turnId);
  return queued_turns.includes(turnId);
}

async function reply(sessionId: string, reply: Reply): Promise<unknown> {
  if ("input_id" in reply) return await gateway.answer(sessionId, reply.input_id, reply.response);
  const { tool_use_id, ...result } = reply;
  return await gateway.giveToolResult(sessionId, tool_use_id, result);
}

/** Sessions have no keys here: one whose answer was lost is found by what it holds. */
async function create(body: CreateSessionBody, key: string): Promise<Session> {
  for (const sessionId of readdirSync(home.states)) {
    const found = sessionIdShape.safeParse(sessionId).success ? look(sessionId) : null;
    if (found?.metadata[KEY] === key) return found;
  }
  return await gateway.createSession({ ...body, metadata: { ...body.metadata, [KEY]: key } });
}

function look(sessionId: string): Session | null {
  try {
    return readStored(home, sessionId).view;
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return null;
    throw thrown;
  }
}

async function readLog(sessionId: string): Promise<Event[]> {
  const { last_seq } = await gateway.resumeSession(sessionId);
  const events: Event[] = [];
  if (last_seq === 0) return events;
  for await (const event of gateway.events(sessionId, "0")) {
    events.push(event);
    if (event.seq >= last_seq) break;
  }
  return events;
}

async function readFiles(sessionId: string): Promise<[path: string, base64: string][]> {
  const files: [string, string][] = [];
  let cursor: string | null = null;
  do {
    const page = await gateway.listFiles(sessionId, cursor === null ? {} : { cursor });
    for (const { path } of page.files) {
      const bytes = await gateway.readFile(sessionId, path);
      files.push([path, Buffer.from(bytes).toString("base64")]);
    }
    cursor = page.next_cursor;
  } while (cursor !== null);
  return files;
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command: Command = JSON.parse(line);
  answer(command).then(
    (value) => tell({ id: command.id, value: value ?? null }),
    (thrown: unknown) => {
      const { code, message } = toGatewayError(thrown);
      if (code === "internal") console.error(`${command.do}:`, thrown);
      tell({ id: command.id, error: { code, message } });
    },
  );
});
lines.once("close", () => gateway.close());
tell({ id: 0, value: "ready" });
