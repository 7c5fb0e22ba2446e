/**
 * What the scripted server of the Messages API is told to answer. Pure, so that tests inside workerd can build scripts
 * too and send them over. A script is a list of replies, one a request; a reply is a list of parts, sent in order; a
 * reply that runs out of parts ends its response cleanly.
 */
import * as z from "zod";

const part = z.discriminatedUnion("part", [
  /** Status and headers, once. A reply that sends something without them begins with 200 and an event stream. */
  z.object({ part: z.literal("head"), status: z.int(), headers: z.record(z.string(), z.string()) }),
  /** One well-formed server-sent event. */
  z.object({ part: z.literal("event"), event: z.string(), data: z.unknown() }),
  /** Bytes as they are, written by themselves. */
  z.object({ part: z.literal("bytes"), base64: z.base64() }),
  /** Waits until the test releases this name. */
  z.object({ part: z.literal("hold"), name: z.string() }),
  /** Destroys the socket. */
  z.object({ part: z.literal("cut") }),
  /** Destroys the socket with a reset, which may also lose what was sent before it. */
  z.object({ part: z.literal("reset") }),
  /** Sends nothing more and keeps the socket open. */
  z.object({ part: z.literal("stall") }),
]);
export type Part = z.infer<typeof part>;
export type Reply = Part[];

export const script = z.array(z.array(part));
export type Script = z.infer<typeof script>;

/** A content block, and the pieces in which its text, thinking or input is streamed. */
export type BlockSpec = { start: Record<string, unknown>; deltas: Record<string, unknown>[] };

export type Usage = {
  input_tokens?: number;
  output_tokens?: number;
  cache_read_input_tokens?: number;
  cache_creation_input_tokens?: number;
};

export type MessageOptions = { stopReason?: string; stopDetails?: unknown; usage?: Usage; model?: string; id?: string };

// ---- Blocks ----------------------------------------------------------------------------------------------------------

/** Where a text is cut into deltas: after every so many UTF-16 code units, or at these offsets. Uncut if absent. */
export type Cuts = number | readonly number[];

export function text(value: string, cuts?: Cuts): BlockSpec {
  const deltas = piecesOf(value, cuts).map((piece) => ({ type: "text_delta", text: piece }));
  return { start: { type: "text", text: "" }, deltas };
}

export function thinking(value: string, signature: string, cuts?: Cuts): BlockSpec {
  const deltas = piecesOf(value, cuts).map((piece) => ({ type: "thinking_delta", thinking: piece }));
  return {
    start: { type: "thinking", thinking: "", signature: "" },
    deltas: [...deltas, { type: "signature_delta", signature }],
  };
}

export function redactedThinking(data: string): BlockSpec {
  return { start: { type: "redacted_thinking", data }, deltas: [] };
}

export function toolUse(id: string, name: string, input: unknown, cuts?: Cuts): BlockSpec {
  return toolUseJson(id, name, JSON.stringify(input), cuts);
}

/** A tool call whose input is this text, valid JSON or not. */
function toolUseJson(id: string, name: string, json: string, cuts?: Cuts): BlockSpec {
  const deltas = piecesOf(json, cuts).map((piece) => ({ type: "input_json_delta", partial_json: piece }));
  return { start: { type: "tool_use", id, name, input: {} }, deltas };
}

/** A block of any type, complete in its start. */
export function block(start: Record<string, unknown>): BlockSpec {
  return { start, deltas: [] };
}

function piecesOf(value: string, cuts: Cuts | undefined): string[] {
  if (value === "") return [];
  const offsets = cuts === undefined ? [] : typeof cuts === "number" ? every(cuts, value.length) : cuts;
  const bounds = [0, ...offsets, value.length];
  return bounds.slice(1).map((end, i) => value.slice(bounds[i], end));
}

function every(step: number, length: number): number[] {
  return Array.from({ length: Math.max(0, Math.ceil(length / step) - 1) }, (_, i) => (i + 1) * step);
}

// ---- Events ----------------------------------------------------------------------------------------------------------

export function event(data: { type: string; [key: string]: unknown }): Part {
  return { part: "event", event: data.type, data };
}

export const ping: Part = event({ type: "ping" });

export function errorEvent(type: string, message: string): Part {
  return event({ type: "error", error: { type, message } });
}

function messageStart({ usage = {}, model = "claude-scripted", id = "msg_scripted" }: MessageOptions = {}): Part {
  return event({
    type: "message_start",
    message: {
      id,
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        cache_read_input_tokens: 0,
        cache_creation_input_tokens: 0,
        ...usage,
        output_tokens: 1,
      },
    },
  });
}

function blockEvents(index: number, { start, deltas }: BlockSpec): Part[] {
  return [
    event({ type: "content_block_start", index, content_block: start }),
    ...deltas.map((delta) => event({ type: "content_block_delta", index, delta })),
    event({ type: "content_block_stop", index }),
  ];
}

function messageEnd(stopReason: string, { stopDetails, usage = {} }: MessageOptions = {}): Part[] {
  const details = stopDetails === undefined ? {} : { stop_details: stopDetails };
  const delta = { stop_reason: stopReason, stop_sequence: null, ...details };
  return [
    event({ type: "message_delta", delta, usage: { output_tokens: usage.output_tokens ?? 5 } }),
    event({ type: "message_stop" }),
  ];
}

/** A whole message. Its stop reason is `tool_use` where it holds a tool call and none is given, else `end_turn`. */
export function message(blocks: BlockSpec[], options: MessageOptions = {}): Reply {
  const usual = blocks.some(({ start }) => start["type"] === "tool_use") ? "tool_use" : "end_turn";
  return [
    messageStart(options),
    ...blocks.flatMap((spec, index) => blockEvents(index, spec)),
    ...messageEnd(options.stopReason ?? usual, options),
  ];
}

// ---- Bytes and faults ------------------------------------------------------------------------------------------------

export function bytes(value: string | Uint8Array): Part {
  const octets = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return { part: "bytes", base64: btoa(Array.from(octets, (octet) => String.fromCharCode(octet)).join("")) };
}

/** The events of a reply as one run of bytes, cut at these offsets, inside a character or a line as they fall. */
export function inPieces(reply: Reply, offsets: readonly number[]): Reply {
  const whole = encodeReply(reply);
  const bounds = [0, ...offsets.filter((offset) => offset > 0 && offset < whole.length), whole.length];
  return bounds.slice(1).map((end, i) => bytes(whole.subarray(bounds[i], end)));
}

/** The bytes of a reply that has nothing but events. */
export function encodeReply(reply: Reply): Uint8Array {
  return new TextEncoder().encode(reply.map(encodeEvent).join(""));
}

/** An event in the format of server-sent events. */
export function encodeEvent(part: Part): string {
  if (part.part !== "event") throw new Error(`A ${part.part} has no bytes of its own.`);
  return `event: ${part.event}\ndata: ${JSON.stringify(part.data)}\n\n`;
}

export function head(status: number, headers: Record<string, string> = {}): Part {
  return { part: "head", status, headers };
}

/** An answer that is an error of the API. */
export function failure(
  status: number,
  type: string,
  explanation: string,
  headers: Record<string, string> = {},
): Reply {
  const body = JSON.stringify({ type: "error", error: { type, message: explanation }, request_id: "req_scripted" });
  return [head(status, { "content-type": "application/json", ...headers }), bytes(body)];
}

export function hold(name: string): Part {
  return { part: "hold", name };
}

export const cut: Part = { part: "cut" };
export const reset: Part = { part: "reset" };
export const stall: Part = { part: "stall" };

/** The data of a reply's events, as a client that loses nothing sees them. */
export function eventData(parts: Reply): unknown[] {
  return parts.flatMap((part) => (part.part === "event" ? [part.data] : []));
}
