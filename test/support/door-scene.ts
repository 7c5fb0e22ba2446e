import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { type DoorOptions, openDoor } from "../../src/local/door.ts";
import { GatewayError } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import { LogBehindDoor } from "./log-behind-door.ts";

/** A folder for doors, until the end of the test file. Its path is short, since those of sockets must be. */
export const doorsRoot = mkdtempSync(join(tmpdir(), "tp-"));
afterAll(() => rmSync(doorsRoot, { recursive: true }));

let doors = 0;
export const doorPath = () => join(doorsRoot, "doors", `${doors++}`);

/** A session behind a door that is open until the end of the test. */
export async function createDoorScene(options?: DoorOptions) {
  const path = doorPath();
  const session = new LogBehindDoor();
  const door = await openDoor(path, session, options);
  return { path, session, door, [Symbol.asyncDispose]: () => door[Symbol.asyncDispose]() };
}

export const textOf = (event: Event) => (event.type === "USER_INPUT" ? event.data.text : "");

/** What the next event of a follower says; undefined when no more come. */
export async function nextText(events: AsyncGenerator<Event>): Promise<string | undefined> {
  const { value } = await events.next();
  return value === undefined ? undefined : textOf(value);
}

/** For `rejects.toEqual`. */
export const errorWith = (code: string, ...words: string[]) =>
  expect.toSatisfy(
    (thrown) =>
      thrown instanceof GatewayError && thrown.code === code && words.every((word) => thrown.message.includes(word)),
  );
