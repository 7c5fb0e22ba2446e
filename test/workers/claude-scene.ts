import { inject } from "vitest";
import * as z from "zod";
import type { Event, EventOf, EventType } from "../../src/protocol/events.ts";
import type { CreateSession } from "../../src/session/session-api.ts";
import type { BlockSpec, Reply } from "../support/messages-script.ts";
import { type ReceivedRequest, scriptModel } from "../support/scripted-model.ts";
import { createScene } from "./session-scene.ts";

type Body = ReceivedRequest["body"];

/** The name of a model that no other test has, of a family that thinks. */
export function newModelName(): string {
  return `claude-opus-5-5-${crypto.randomUUID()}`;
}

/** Makes the scripted server give these replies to the requests for a model, one a request. */
export async function scriptClaude(model: string, replies: Reply[]) {
  const server = await scriptModel(inject("messagesServerUrl"), model, replies);
  return {
    ...server,
    /** The body of request `number`, from 0; waits for it. */
    async request(number: number): Promise<Body> {
      const body = (await server.requests(number + 1))[number]?.body;
      if (body === undefined) throw new Error(`There is no request ${number}.`);
      return body;
    },
  };
}

/** A session with a model of its own behind the official SDK. */
export async function createClaudeScene(replies: Reply[], settings: Partial<CreateSession> = {}) {
  const model = settings.model ?? newModelName();
  const claude = await scriptClaude(model, replies);
  return { ...(await createScene({ ...settings, model })), model, claude };
}

// ---- What is in a request --------------------------------------------------------------------------------------------

/** A user's message of one text, as a request carries it. */
export function user(text: string) {
  return { role: "user", content: [{ type: "text", text }] };
}

export function assistant(...content: unknown[]) {
  return { role: "assistant", content };
}

export function results(...content: unknown[]) {
  return { role: "user", content };
}

const contentBlocks = z.array(z.looseObject({ type: z.string() }));
export type Block = z.infer<typeof contentBlocks>[number];

/** The messages of a request, whose contents are lists of blocks. */
export function messagesOf({ body }: ReceivedRequest): { role: string; content: Block[] }[] {
  return body.messages.map(({ role, content }) => ({ role, content: contentBlocks.parse(content) }));
}

/** The block that a client which loses nothing puts together from a spec. */
export function blockOf({ start, deltas }: BlockSpec): Record<string, unknown> {
  const block = { ...start };
  let json = "";
  for (const delta of deltas) {
    const { type: _, ...fields } = delta;
    for (const [field, value] of Object.entries(fields)) {
      if (field === "partial_json") json += String(value);
      else if (field === "citation") block["citations"] = [...toList(block["citations"]), value];
      else block[field] = `${block[field] ?? ""}${value}`;
    }
  }
  return json === "" ? block : { ...block, input: JSON.parse(json) };
}

function toList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

// ---- What is in the log ----------------------------------------------------------------------------------------------

/** The data of the log's events of one type. */
export function dataOf<T extends EventType>(log: Event[], type: T): EventOf<T>["data"][] {
  return pluck(
    log.filter((event): event is EventOf<T> => event.type === type),
    "data",
  );
}

function pluck<Item, Key extends keyof Item>(items: Item[], key: Key): Item[Key][] {
  return items.map((item) => item[key]);
}

/** What became of the last turn in the log. */
export function endOf(log: Event[]): EventOf<"ITERATION_END">["data"] {
  const end = dataOf(log, "ITERATION_END").at(-1);
  if (end === undefined) throw new Error("No turn has ended.");
  return end;
}

/** The log as a list of what happened, for comparing its order at one look. */
export function outline(log: Event[]): string[] {
  return log.map((event) => {
    switch (event.type) {
      case "STATUS":
        return event.data.status;
      case "TEXT":
      case "THINKING":
        return event.data.discarded === true ? `${event.type} discarded` : event.type;
      case "TOOL_CALL":
        return `TOOL_CALL ${event.data.id}`;
      case "TOOL_RESULT":
        return `TOOL_RESULT ${event.data.tool_use_id}`;
      case "ITERATION_END":
        return `ITERATION_END ${event.data.status}`;
      default:
        return event.type;
    }
  });
}
