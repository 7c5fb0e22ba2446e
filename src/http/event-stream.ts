import { SSE_COMMENT_INTERVAL_MS } from "../protocol/limits.ts";
import { DeadlineExceeded, withDeadline } from "../timing/deadline.ts";
import type { LogFrame } from "./log-reader.ts";

const COMMENT = encode(": \n\n");

/**
 * Frames as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): `id:` is the cursor,
 * `data:` the event. Frames that come together are written together, and the next ones are asked for when the client has
 * taken them. A client that goes away aborts `reading`.
 */
export function eventStreamResponse(
  frames: AsyncGenerator<LogFrame[], void>,
  reading: AbortController,
  headers: Record<string, string> = {},
): Response {
  let next: Promise<IteratorResult<LogFrame[], void>> | null = null;
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        // The head of an answer may be held back until its body begins.
        controller.enqueue(COMMENT);
      },
      async pull(controller) {
        next ??= frames.next();
        const result = await orQuiet(next);
        if (result === "quiet") {
          controller.enqueue(COMMENT);
          return;
        }
        next = null;
        if (result.done) controller.close();
        else controller.enqueue(encode(result.value.map(eventText).join("")));
      },
      async cancel() {
        reading.abort();
        await frames.return();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      ...headers,
    },
  });
}

function eventText({ cursor, json }: LogFrame): string {
  return `id: ${cursor}\ndata: ${json}\n\n`;
}

async function orQuiet<T>(work: Promise<T>): Promise<T | "quiet"> {
  try {
    return await withDeadline(work, SSE_COMMENT_INTERVAL_MS);
  } catch (thrown) {
    if (thrown instanceof DeadlineExceeded) return "quiet";
    throw thrown;
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
