import { shownModel } from "../protocol/shown-word.ts";
import { abortable } from "./abortable.ts";
import type { MessageReader } from "./message-reader.ts";
import { toModelError } from "./model-failure.ts";
import { ModelError, type ModelRequest } from "./ports.ts";
import { inSpan } from "./span.ts";
import type { Deadlines, TurnDeps } from "./turn-deps.ts";

/** What was seen of a call, in ms since the epoch. */
type Sightings = {
  asked: number;
  /** The last event of any kind; null before the first. */
  heard: number | null;
  /** The last time that the message got further; at first the time when it was asked for. */
  moved: number;
};

/** Why a call is given up at this time; null while it is not. */
function overdue({ asked, heard, moved }: Sightings, deadlines: Deadlines, now: number): ModelError | null {
  const { firstEventMs, nextEventMs, progressMs, callMs } = deadlines;
  if (now >= asked + callMs) {
    return new ModelError("call_too_long", `The model's message was not at its end after ${callMs / 1_000} s.`);
  }
  if (now >= (heard === null ? asked + firstEventMs : heard + nextEventMs)) {
    return new ModelError("stalled", "The model sent nothing for too long.");
  }
  if (now >= moved + progressMs) {
    return new ModelError("stalled", "The model sent signs of life, but nothing of its message for too long.");
  }
  return null;
}

/**
 * Reads the stream of one call to its end into `reader`. The platform has no deadlines, so one timer watches them all.
 *
 * @throws ModelError for every failure of the model, a stream that ends too early among them; Aborted
 */
export async function readStream(
  { model, now, deadlines, span }: TurnDeps,
  request: ModelRequest,
  attempt: number,
  reader: MessageReader,
  signal: AbortSignal,
): Promise<void> {
  const upstream = new AbortController();
  const asked = now();
  const seen: Sightings = { asked, heard: null, moved: asked };
  let watch: ReturnType<typeof setInterval> | undefined;
  const givenUp = new Promise<never>((_, reject) => {
    const check = () => {
      const error = overdue(seen, deadlines, now());
      if (error !== null) reject(error);
    };
    watch = setInterval(check, Math.min(1_000, deadlines.nextEventMs / 4));
  });
  const read = async () => {
    for await (const raw of eventsOf(model.stream(request, { signal: upstream.signal, attempt }), upstream.signal)) {
      // A stream that does not heed its signal must not write into a step that was given up.
      if (upstream.signal.aborted) return;
      const before = reader.progress;
      reader.push(raw);
      if (reader.complete) return;
      seen.heard = now();
      if (reader.progress > before) seen.moved = seen.heard;
      // A stream that leaves no room for the timer is watched here.
      const error = overdue(seen, deadlines, seen.heard);
      if (error !== null) throw error;
    }
    throw new ModelError("cut", "The model's answer broke off before its end.");
  };
  try {
    const { purpose = "step" } = request;
    const attributes = { model: shownModel(request.model), attempt, purpose };
    await inSpan(span, "model_call", attributes, () => abortable(Promise.race([read(), givenUp]), signal));
  } finally {
    if (watch !== undefined) clearInterval(watch);
    upstream.abort();
  }
}

/** The events of a stream; whatever it throws, unless it was told to stop, is a failure of the model's. */
async function* eventsOf(stream: AsyncIterable<unknown>, stopped: AbortSignal): AsyncGenerator<unknown> {
  try {
    yield* stream;
  } catch (thrown) {
    throw stopped.aborted ? thrown : toModelError(thrown);
  }
}
