/**
 * A process with a gateway of its own: `node local-process.ts <what> <home> …`. What it gets it prints, a line of JSON
 * each; it ends when stdin does, unless it is to end by itself.
 */
import { once } from "node:events";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";

const [what, home = "", sessionId = "", text = "", at = ""] = process.argv.slice(2);
const gateway = new InProcessGateway({ home, models: {}, holder: "turnpike test" });

const print = (value: unknown) => console.log(JSON.stringify(value));

/** Runs a turn, and holds the session until stdin ends. */
async function execute(): Promise<void> {
  process.stdin.once("end", () => gateway.close()).resume();
  for await (const event of gateway.execute(sessionId, { user_input: text })) print(event);
}

/** Runs a turn of a new session, and does nothing to end. */
async function runAndLeave(): Promise<void> {
  const { session_id } = await gateway.createSession();
  print(await gateway.runQuery(session_id, { user_input: "Say 'hi'" }));
}

/** Runs a turn of a new session until it waits for somebody, and does nothing to end. */
async function askAndLeave(): Promise<void> {
  const { session_id } = await gateway.createSession({ permissions: { write: "ask" } });
  print(await gateway.runQuery(session_id, { user_input: "Write 'x' to a.txt" }));
}

/** Waits for an event that does not come, until a timer that keeps no process alive says that it is enough. */
async function waitForNothing(): Promise<void> {
  const { session_id } = await gateway.createSession();
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error("enough")), 300).unref();
  try {
    for await (const event of gateway.events(session_id, "0", { signal: abort.signal })) print(event);
  } catch (thrown) {
    print(String(thrown));
  }
}

/** Runs a turn that its followers can see, and dies in the next one, which it begins when stdin says so. */
async function dieWhenFollowed(): Promise<void> {
  print(await gateway.runQuery(sessionId, { user_input: "Say 'first'" }));
  await once(process.stdin, "data");
  await dieAt();
}

/** Dies at the n-th event of a turn. */
async function dieAt(): Promise<void> {
  let seen = 0;
  for await (const _ of gateway.execute(sessionId, { user_input: text })) {
    if (++seen === Number(at)) process.kill(process.pid, "SIGKILL");
  }
}

/** Submits messages, one a line, and dies in the text of the first. */
async function submitAndDie(): Promise<void> {
  for (const line of text.split("\n")) print(await gateway.submit(sessionId, { user_input: line }, line));
  for await (const { type } of gateway.events(sessionId, "0"))
    if (type === "TEXT") process.kill(process.pid, "SIGKILL");
}

const deeds: Record<string, () => Promise<void>> = {
  execute,
  runAndLeave,
  askAndLeave,
  waitForNothing,
  dieWhenFollowed,
  dieAt,
  submitAndDie,
};
await deeds[what ?? ""]?.();
