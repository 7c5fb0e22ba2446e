import { SSE_COMMENT_INTERVAL_MS } from "../protocol/limits.ts";
import { DeadlineExceeded, withDeadline } from "../timing/deadline.ts";
import type { LogFrame } from "./log-reader.ts";

const COMMENT = encode(": \n\n");

/**
 * Frames as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): `id:` is the cursor,
 * `data:` the event. The next frame is asked for when the client has taken the one before. A client that goes away
 * aborts `reading`.
 */
export function eventStreamResponse(
  frames: AsyncGenerator<LogFrame, void>,
  reading: AbortController,
  headers: Record<string, string> = {},
): Response {
  let next: Promise<IteratorResult<LogFrame, void>> | null = null;
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
        else controller.enqueue(encode(`id: ${result.value.cursor}\ndata: ${result.value.json}\n\n`));
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
