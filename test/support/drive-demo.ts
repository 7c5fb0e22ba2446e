import * as z from "zod";
import { type ContentBlock, type Message, type StreamEvent, streamEvent } from "../../src/engine/messages.ts";
import { createDemoModel } from "../../src/models/demo.ts";

const model = createDemoModel();

export const userText = (...texts: string[]): Message => ({
  role: "user",
  content: texts.map((text) => ({ type: "text", text })),
});

export type Call = { attempt?: number; signal?: AbortSignal };

/** One call of the demo model: its events as they come, each checked against the engine's schema. */
export async function* callDemo(messages: Message[], { attempt = 1, signal }: Call = {}): AsyncGenerator<StreamEvent> {
  const request = { model: "demo", system: null, messages, tools: [], max_tokens: 1_000, thinking: false };
  for await (const event of model.stream(request, { signal: signal ?? new AbortController().signal, attempt })) {
    yield streamEvent.parse(event);
  }
}

export type DemoMessage = {
  content: ContentBlock[];
  stopReason: string | null;
  inputTokens: number;
  outputTokens: number;
};

const usage = z.object({ input_tokens: z.number() });

/** Puts a message together from its events. Tool inputs are parsed. */
export function assemble(events: StreamEvent[]): DemoMessage {
  const message: DemoMessage = { content: [], stopReason: null, inputTokens: 0, outputTokens: 0 };
  let block: ContentBlock = { type: "none" };
  let json = "";
  const add = (field: string, piece: string) => {
    block[field] = `${String(block[field])}${piece}`;
  };
  for (const event of events) {
    if (event.type === "message_start") message.inputTokens = usage.parse(event.message.usage).input_tokens;
    if (event.type === "content_block_start") {
      block = { ...event.content_block };
      json = "";
    }
    if (event.type === "content_block_delta") {
      const { delta } = event;
      if (delta?.type === "text_delta") add("text", delta.text);
      if (delta?.type === "thinking_delta") add("thinking", delta.thinking);
      if (delta?.type === "signature_delta") add("signature", delta.signature);
      if (delta?.type === "input_json_delta") json += delta.partial_json;
    }
    if (event.type === "content_block_stop") {
      if (block.type === "tool_use") block["input"] = JSON.parse(json);
      message.content.push(block);
    }
    if (event.type === "message_delta") {
      message.stopReason = event.delta.stop_reason ?? null;
      message.outputTokens = event.usage?.output_tokens ?? 0;
    }
  }
  return message;
}

/** One whole message. */
export async function demoMessage(messages: Message[], call?: Call): Promise<DemoMessage> {
  return assemble(await collect(callDemo(messages, call)));
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The transcript as the API takes it: no empty message, and neighbours of the same role as one. */
export function mergeNeighbours(messages: Message[]): Message[] {
  const merged: Message[] = [];
  for (const { role, content } of messages) {
    const previous = merged.at(-1);
    if (content.length === 0) continue;
    if (previous?.role === role) previous.content.push(...content);
    else merged.push({ role, content: [...content] });
  }
  return merged;
}

type ToolUse = { id: string; name: string; input: unknown };

export type DemoTurn = { messages: DemoMessage[]; transcript: Message[] };

/** What a tool call answers; the default is `ok`. */
export type Respond = (call: ToolUse) => { content: string; is_error?: boolean };

/** Runs a turn: each tool call is answered, and a paused message goes on, until the model has ended or `most` calls. */
export async function driveDemo(
  text: string,
  {
    before = [],
    respond = () => ({ content: "ok" }),
    most = 200,
  }: { before?: Message[]; respond?: Respond; most?: number } = {},
): Promise<DemoTurn> {
  const turn: DemoTurn = { messages: [], transcript: [...before, userText(text)] };
  while (turn.messages.length < most) {
    const message = await demoMessage(mergeNeighbours(turn.transcript));
    turn.messages.push(message);
    turn.transcript.push({ role: "assistant", content: message.content });
    const calls = toolUses(message);
    if (calls.length > 0) turn.transcript.push({ role: "user", content: calls.map((call) => resultOf(call, respond)) });
    else if (message.stopReason !== "pause_turn") break;
  }
  return turn;
}

function resultOf(call: ToolUse, respond: Respond): ContentBlock {
  return { type: "tool_result", tool_use_id: call.id, ...respond(call) };
}

const toolUse = z.object({ type: z.literal("tool_use"), id: z.string(), name: z.string(), input: z.unknown() });

export function toolUses({ content }: DemoMessage): ToolUse[] {
  return content
    .map((block) => toolUse.safeParse(block).data)
    .filter((call) => call !== undefined)
    .map(({ id, name, input }) => ({ id, name, input }));
}

/** The texts of a message, block by block. */
export function textsOf({ content }: DemoMessage): string[] {
  return content.filter(({ type }) => type === "text").map((block) => String(block["text"]));
}
