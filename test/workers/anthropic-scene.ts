import { inject } from "vitest";
import type { Model, ModelRequest } from "../../src/engine/ports.ts";
import { createAnthropicModel } from "../../src/models/anthropic.ts";
import type { Reply } from "../support/messages-script.ts";
import { type ScriptedModel, scriptModel } from "../support/scripted-model.ts";

/** Where the scripted server of the Messages API is. */
export const baseUrl = inject("messagesServerUrl");

export type Scripted = { model: Model; server: ScriptedModel; apiKey: string };

/** A model whose server gives these replies, one a call. */
export async function scripted(...replies: Reply[]): Promise<Scripted> {
  const apiKey = `key-${crypto.randomUUID()}`;
  const server = await scriptModel(baseUrl, apiKey, replies);
  return { model: createAnthropicModel({ apiKey, baseUrl }), server, apiKey };
}

export const REQUEST: ModelRequest = {
  model: "claude-opus-4-6",
  system: null,
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
  tools: [],
  max_tokens: 1_000,
  thinking: false,
};

export type Asked = { request?: Partial<ModelRequest>; signal?: AbortSignal };

/** Calls the model. */
export function call(model: Model, { request = {}, signal = new AbortController().signal }: Asked = {}) {
  return model.stream({ ...REQUEST, ...request }, { signal, attempt: 1 });
}

/** Calls the model and reads its stream to the end. */
export async function readAll(model: Model, asked: Asked = {}): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of call(model, asked)) events.push(event);
  return events;
}
