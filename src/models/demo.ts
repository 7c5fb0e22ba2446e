import type { StreamEvent } from "../engine/messages.ts";
import { type Model, ModelError, type ModelRequest } from "../engine/ports.ts";
import { sleep } from "../timing/sleep.ts";
import { apiErrorType } from "./api-error-type.ts";
import { blocksOf, type DemoBlock } from "./demo-blocks.ts";
import { parseScript, stepsOfCall } from "./demo-script.ts";
import { HELP, type Step } from "./demo-sentences.ts";
import { readTranscript } from "./demo-transcript.ts";

/** A model that never waits would keep the event loop to itself, and no cancel and no socket would get in between. */
const DELTAS_BETWEEN_BREATHS = 32;

/**
 * A model that needs no key and no network: it does what the last text of the user says, in the sentences of
 * `demo-sentences.ts`. It keeps nothing. The transcript and `attempt` decide, so a call that is made again after a kill
 * gives the same, down to the ids of its tool calls.
 */
export function createDemoModel(): Model {
  return {
    // A script that thinks does so whatever the request says, at any step.
    thinking: () => "adaptive",
    maxTokens: () => ({ usual: 32_000, highest: 64_000 }),
    window: () => ({ tokens: 200_000, clearsResults: false }),
    stream: streamMessage,
  };
}

type StreamOptions = { signal: AbortSignal; attempt: number };

async function* streamMessage(
  { model, messages, purpose }: ModelRequest,
  { signal, attempt }: StreamOptions,
): AsyncGenerator<StreamEvent> {
  await sleep(0, signal);
  const { script, done, answers, words: inputWords, toolIds } = readTranscript(messages);
  const asked = [...answers.map(say), ...stepsOfCall(parseScript(script) ?? [say(HELP)], done)];
  // What is to be summarised is no script, whatever it says.
  const summary = say(`The demo model made this of ${inputWords} words, and kept none of them.`);
  const steps = (purpose === "summary" ? [summary] : asked).filter(
    (step) => (step.kind !== "fail" && step.kind !== "cut") || attempt <= step.attempts,
  );

  // A failure that comes first is an answer without a stream, as it would be over HTTP.
  if (steps[0]?.kind === "fail") throw failure(steps[0].status);
  yield messageStart(`msg_demo_${messages.length}`, model, inputWords);

  let index = 0;
  let words = 0;
  for (const step of steps) {
    if (step.kind === "fail") throw failure(step.status);
    for (const block of blocksOf(step, toolIds)) {
      yield { type: "content_block_start", index, content_block: block.start };
      words += yield* streamPieces(block, index, signal);
      if (step.kind === "cut") return;
      if (block.signature !== undefined) {
        yield { type: "content_block_delta", index, delta: { type: "signature_delta", signature: block.signature } };
      }
      yield { type: "content_block_stop", index };
      index++;
    }
  }
  yield messageDelta(stopReason(steps.at(-1)), words);
  yield { type: "message_stop" };
}

/** Streams a block's pieces and returns how many of them were words. */
async function* streamPieces(
  { pieces, delta, everyMs }: DemoBlock,
  index: number,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent, number> {
  let sent = 0;
  let words = 0;
  for (const piece of pieces) {
    signal.throwIfAborted();
    yield { type: "content_block_delta", index, delta: delta(piece) };
    if (piece.trim() !== "") words++;
    sent++;
    if (everyMs > 0 || sent % DELTAS_BETWEEN_BREATHS === 0) await sleep(everyMs, signal);
  }
  return words;
}

function messageStart(id: string, model: string, inputWords: number): StreamEvent {
  const usage = { input_tokens: inputWords, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  return {
    type: "message_start",
    message: {
      id,
      type: "message",
      role: "assistant",
      model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { ...usage, output_tokens: 0 },
    },
  };
}

function messageDelta(reason: string, words: number): StreamEvent {
  const details = { type: "refusal", category: null, explanation: "The script told the demo model to refuse." };
  return {
    type: "message_delta",
    delta: {
      stop_reason: reason,
      stop_sequence: null,
      ...(reason === "refusal" ? { stop_details: details } : {}),
    },
    usage: { output_tokens: words },
  };
}

function stopReason(last: Step | undefined): string {
  if (last?.kind === "stop") return last.reason;
  return last?.kind === "calls" ? "tool_use" : "end_turn";
}

const say = (text: string): Step => ({ kind: "say", text });

function failure(status: number): ModelError {
  return new ModelError(apiErrorType(status), `The script told the demo model to fail with ${status}.`, { status });
}
