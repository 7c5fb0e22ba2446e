import { createHash } from "node:crypto";
import { createDemoModel } from "../../src/models/demo.ts";
import { type Event, event as eventSchema } from "../../src/protocol/events.ts";
import type { AcceptedTurn, SubmitTurnBody } from "../../src/protocol/rest.ts";
import { currentFile } from "../../src/workspace/file-table.ts";
import type { Sent } from "../chaos/check-accepted.ts";
import { ALICE, SessionWorld } from "./session-world.ts";

/** What a run with a kill has left, as the checks of the chaos run take it. */
export type ChaosStory = {
  log: Event[];
  /** What a client was sent that lost its connection, also with the process. */
  frames: Event[];
  sent: Sent[];
  files: Map<string, Uint8Array>;
  /** What a client put into the workspace. */
  put: Uint8Array;
};

/** A client that takes what is sent as long as it is connected, and comes back with its cursor. */
class Client {
  readonly frames: Event[] = [];
  readonly #world: SessionWorld;
  #taken = 0;

  constructor(world: SessionWorld) {
    this.#world = world;
  }

  receive(): void {
    this.frames.push(...this.#world.sent.slice(this.#taken));
    this.#taken = this.#world.sent.length;
  }

  reconnect(): void {
    const missed = this.#world.session.log.replay(this.frames.at(-1)?.cursor ?? "0");
    for (const { json } of missed) this.frames.push(eventSchema.parse(JSON.parse(json)));
    this.#taken = this.#world.sent.length;
  }
}

const TOOLS = [
  "Think for 3 words",
  "Say 'Begun. '",
  "Write 'one ' to work_products/a.txt",
  "Cut after 4 words 1 times",
  "At once: Read work_products/a.txt & Append 'two' to work_products/a.txt & Read nothing.txt",
  "Replace 'two' with 'three' in work_products/a.txt",
  "Write 'gone' to b.txt",
  "Delete b.txt",
  "Count to 12 at 20 ms",
].join(", then ");

/**
 * A session with everything in it that a log may show: tools, a step that is tried again, a kill in mid-text, turns that
 * wait, are taken out, interrupted and steered, a failed one, and a file of a client's. Time is to be a fake one.
 */
export async function playChaosStory(): Promise<ChaosStory> {
  const world = new SessionWorld({ model: createDemoModel(), settings: { model: "demo" } });
  const client = new Client(world);
  const sent: Sent[] = [];
  let clock = 0;
  const submit = (user_input: string, more: Partial<SubmitTurnBody> = {}): AcceptedTurn => {
    const body = { user_input, ...more };
    const sentAt = clock++;
    const turn = world.session.submit(ALICE, body, user_input);
    sent.push({ body, sentAt, answer: { turn, at: clock++ } });
    return turn;
  };
  const said = (turn: AcceptedTurn, words: string) => (event: Event) =>
    event.turn_id === turn.turn_id && event.type === "TEXT" && event.data.text.includes(words);

  const tools = submit(TOOLS, { metadata: { of: "tools" } });
  const waiting = submit("Wait 1 seconds, then Say 'B.'");
  const withdrawn = submit("Say 'never'");
  await world.until(({ type }) => type === "TOOL_RESULT");
  const put = new TextEncoder().encode("from a client");
  putFile(world, "client.txt", put);
  world.session.withdraw(withdrawn.turn_id);
  await world.until(said(tools, "2 "));
  client.receive();
  await world.until(said(tools, "4 "));
  client.reconnect();
  await world.until(said(tools, "7 "));
  client.receive();
  world.start();
  client.reconnect();

  await world.until(({ type, turn_id }) => type === "TOOL_CALL" && turn_id === waiting.turn_id);
  submit("Append '!' to work_products/a.txt", { on_busy: "steer" });
  await world.ended(waiting.turn_id);
  const interrupted = submit("Count to 30 at 20 ms");
  await world.until(said(interrupted, "3 "));
  client.receive();
  submit("Say 'late'", { on_busy: "steer" });
  submit("Say 'at once'", { on_busy: "interrupt" });
  await world.until(({ type, data }) => type === "USER_INPUT" && data.text === "Say 'late'");
  client.reconnect();
  await world.ended(submit("Say 'lost', then Fail with 400").turn_id);
  client.receive();
  const log = world.log();
  world.kill();
  return { log, frames: client.frames, sent, files: filesOf(world), put };
}

function putFile(world: SessionWorld, path: string, bytes: Uint8Array): void {
  const { files } = world;
  const conditions = { ifMatch: null, ifNoneMatch: null };
  const stage_id = files.stage({ path, conditions });
  world.blobs.set(`${stage_id}.1`, bytes);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  files.commit({ stage_id, path, size: bytes.byteLength, sha256, content_type: "", conditions });
}

function filesOf(world: SessionWorld): Map<string, Uint8Array> {
  return new Map(
    world
      .paths()
      .map((path) => [path, world.blobs.get(currentFile(world.sql, path)?.blob_id ?? "") ?? new Uint8Array()]),
  );
}
