/**
 * The model of the measurements, in a process of its own: `node model-process.ts` prints its address, and answers each
 * call of the Messages API with the load that the last message asks for (`load.ts`), or with a short text. It ends with
 * whoever holds its stdin.
 */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { deltaText, HEAD_MAX_CHARS, type Load, nowMicros } from "./load.ts";

const load = z.strictObject({
  deltas: z.int().min(1),
  delayMs: z.number().min(0),
  size: z.int().min(HEAD_MAX_CHARS),
});

const request = z.looseObject({
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })),
});
const textBlocks = z.array(z.looseObject({ text: z.string().optional() }));

const SHORT: Load = { deltas: 1, delayMs: 0, size: 40 };
/** Deltas that are written at a time where they have no pace. */
const BURST = 64;

const END =
  event("content_block_stop", { index: 0 }) +
  event("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 10 } }) +
  event("message_stop", {});

type Stream = { response: ServerResponse; load: Load; sent: number; dueAt: number };

/** Streams that have a pace. One timer serves them all, so that hundreds of them cost no more than their writes. */
const paced = new Set<Stream>();

const server = createServer({ keepAliveTimeout: 0 }, (incoming, response) => {
  void readText(incoming).then((body) => answer(loadOf(body), response));
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
if (address === null || typeof address === "string") throw new Error("The server has no port.");
console.log(`http://127.0.0.1:${address.port}`);
process.stdin.on("end", () => process.exit()).resume();
setInterval(sendDue, 1);

function loadOf(body: string): Load {
  const last = request.parse(JSON.parse(body)).messages.at(-1)?.content;
  const text = typeof last === "string" ? last : textBlocks.parse(last).at(-1)?.text;
  return text?.startsWith("{") ? load.parse(JSON.parse(text)) : SHORT;
}

async function answer(asked: Load, response: ServerResponse): Promise<void> {
  response.socket?.setNoDelay(true);
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  const stream = { response, load: asked, sent: 0, dueAt: nowMicros() };
  response.write(
    event("message_start", { message: { role: "assistant", content: [], usage: { input_tokens: 10 } } }) +
      event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
  );
  if (asked.delayMs > 0) {
    paced.add(stream);
    response.once("close", () => paced.delete(stream));
    return;
  }
  // A client that goes away before the end is no fault.
  await pipeline(Readable.from(bursts(stream)), response).catch(() => undefined);
}

function* bursts(stream: Stream): Generator<string> {
  while (stream.sent < stream.load.deltas) yield nextDeltas(stream, BURST);
  yield END;
}

function sendDue(): void {
  const now = nowMicros();
  for (const stream of paced) {
    const { response, load } = stream;
    // One that is late catches up, as a model does behind a slow network.
    while (stream.sent < load.deltas && stream.dueAt <= now) {
      response.write(nextDeltas(stream, 1));
      stream.dueAt += load.delayMs * 1_000;
    }
    if (stream.sent < load.deltas) continue;
    paced.delete(stream);
    response.end(END);
  }
}

function nextDeltas(stream: Stream, count: number): string {
  let piece = "";
  for (let i = 0; i < count && stream.sent < stream.load.deltas; i++) {
    const text = deltaText(stream.sent++, stream.load.size, nowMicros());
    piece += `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${text}"}}\n\n`;
  }
  return piece;
}

function event(type: string, data: Record<string, unknown>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}
