import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createDemoModel } from "../../src/models/demo.ts";
import { type Event, event as eventSchema } from "../../src/protocol/events.ts";
import type { Turn } from "../../src/protocol/rest.ts";
import { LogFollower } from "../support/log-follower.ts";
import { ALICE, SessionWorld } from "../support/session-world.ts";

beforeEach(() => {
  // A process that dies has much to say about it.
  vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

const SCRIPT = [
  "Think for 3 words",
  "Say 'Begun. '",
  "Write 'one ' to work_products/a.txt",
  "At once: Read work_products/a.txt & List work_products & Append 'two ' to work_products/a.txt & Read nothing.txt",
  "Append 'three' to work_products/a.txt",
  "Count to 3",
].join(", then ");
const SCRIPTS = [SCRIPT, "Say 'Second.'"];

/** A client that is connected whenever there is something to be connected to. */
class Client {
  readonly follower = new LogFollower("0", 0);
  readonly #world: SessionWorld;
  #taken = 0;

  constructor(world: SessionWorld) {
    this.#world = world;
  }

  /** Takes what was sent to it since it last looked. */
  receive(): void {
    for (const event of this.#world.sent.slice(this.#taken)) this.follower.take(event);
    this.#taken = this.#world.sent.length;
  }

  reconnect(): void {
    const missed = [...this.#world.session.log.replay(this.follower.position)];
    for (const { json } of missed) this.follower.take(eventSchema.parse(JSON.parse(json)));
    this.#taken = this.#world.sent.length;
  }
}

/** Sends one message and sees its turn through processes that die after so many statements each. */
async function survive(deaths: number[]) {
  const world = new SessionWorld({ model: createDemoModel(), settings: { model: "demo" } });
  world.start();
  const client = new Client(world);
  let turnIds: string[] = [];
  for (const statements of [...deaths, Number.POSITIVE_INFINITY]) {
    client.receive();
    try {
      world.start(statements);
      client.reconnect();
      // A client that had no answer asks again with the same key.
      turnIds = SCRIPTS.map((user_input) => world.session.submit(ALICE, { user_input }, user_input).turn_id);
    } catch (thrown) {
      expect(thrown).toHaveProperty("name", "Killed");
      continue;
    }
    const ended = world.until(({ type, turn_id }) => type === "ITERATION_END" && turn_id === turnIds.at(-1));
    await Promise.race([ended, world.died()]);
  }
  const turns: Turn[] = [];
  for (const turnId of turnIds) turns.push(await world.ended(turnId));
  client.receive();
  return { world, turns, client };
}

const isBlock = ({ type }: Event) => type === "TEXT" || type === "THINKING";
const discarded = ({ data }: Event) => "discarded" in data && data.discarded === true;
/** What happened, without when, and without what was lost on the way. */
function story(log: Event[]): string[] {
  return log.flatMap((event) => {
    if (event.type === "TOOL_CALL") return [`call ${event.data.id}`];
    if (event.type === "TOOL_RESULT") return [`result ${event.data.tool_use_id} ${event.data.content_preview}`];
    if (isBlock(event)) return discarded(event) ? [] : [`${event.type} ${JSON.stringify(event.data)}`];
    if (event.type === "STATUS" && event.data.status === "resumed") return [];
    return [event.type === "WORK_PRODUCT" ? `made ${event.data.path} of ${event.data.size}` : event.type];
  });
}

async function check(deaths: number[], undisturbed: string[]): Promise<void> {
  const { world, turns, client } = await survive(deaths);
  const log = world.log();
  expect(turns).toMatchObject([
    { status: "complete", response_text: "Begun. 1 2 3 ", tool_calls: 6 },
    { status: "complete", response_text: "Second.", tool_calls: 0 },
  ]);
  expect(story(log)).toEqual(undisturbed);
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, i) => i + 1));
  expect(log.filter(({ type }) => type === "ITERATION_END").map(({ turn_id }) => turn_id)).toEqual(
    turns.map(({ turn_id }) => turn_id),
  );

  expect(world.file("work_products/a.txt")).toBe("one two three");
  expect(world.sql.exec("SELECT * FROM files")).toHaveLength(3);
  const stages = new Set(
    world.sql.exec<{ stage_id: string }>("SELECT stage_id FROM stages").map((row) => row.stage_id),
  );
  const named = new Set(world.sql.exec<{ blob_id: string }>("SELECT blob_id FROM files").map((row) => row.blob_id));
  const lost = [...world.blobs.keys()].filter((id) => !named.has(id));
  expect(lost.every((id) => stages.has(id.split(".")[0] ?? ""))).toBe(true);

  const dropped = log.filter((event) => isBlock(event) && discarded(event)).map(({ seq }) => seq);
  const discards = world.events("STATUS").flatMap(({ data }) => (data.status === "resumed" ? data.discard : []));
  expect(discards).toEqual(dropped);
  expect([...client.follower.entries.keys()]).toEqual(log.map(({ seq }) => seq));
  const shown = [...client.follower.entries.values()].map((entry) => (entry.kind === "block" ? entry.text : null));
  expect(shown).toEqual(
    log.map(({ data }) => ("text" in data && "done" in data ? data.text : "thinking" in data ? data.thinking : null)),
  );
}

test("[TURN20] [TURN9] [TOOL5] [LOG4] [BLOCK9] killed at any statement, and again, a turn goes on and happens once", async () => {
  const { world } = await survive([]);
  const undisturbed = story(world.log());
  let statements = 0;
  const counting = new SessionWorld({
    model: createDemoModel(),
    settings: { model: "demo" },
    beforeStatement: () => {
      statements++;
    },
  });
  for (const script of SCRIPTS) await counting.run(script);
  for (let at = 0; at < statements; at++) await check([at], undisturbed);
  await fc.assert(
    fc.asyncProperty(fc.nat(statements), fc.nat(statements), (first, second) => check([first, second], undisturbed)),
    { numRuns: 40 },
  );
}, 60_000);
