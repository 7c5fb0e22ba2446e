import type { ContentBlock, StreamEvent } from "../engine/messages.ts";
import type { Step } from "./demo-sentences.ts";

type Delta = Extract<StreamEvent, { type: "content_block_delta" }>["delta"];

/** A content block as it streams: how it starts, then a delta for each piece, then a signature where there is one. */
export type DemoBlock = {
  start: ContentBlock;
  pieces: Iterable<string>;
  delta: (piece: string) => Delta;
  signature?: string;
  everyMs: number;
};

/** The content blocks that a step adds to its message. Every tool call takes an id. */
export function blocksOf(step: Step, toolIds: Iterator<string, never>): DemoBlock[] {
  switch (step.kind) {
    case "say":
      return step.text === "" ? [] : [textBlock(wordsOf(step.text))];
    case "count":
      return step.to === 0 ? [] : [textBlock(numbersTo(step.to), step.everyMs)];
    case "cut":
      return [textBlock(numbersTo(step.words))];
    case "think":
      return [thinkingBlock(step.words, step.everyMs)];
    case "calls":
      return step.calls.map(({ name, input }) => toolBlock(toolIds.next().value, name, input));
    case "stop":
      return step.reason === "pause_turn" ? [PAUSE] : [];
    case "fail":
      return [];
  }
}

/**
 * Ends a message that was paused, so that the demo model finds in the transcript that there was one: an empty message
 * would not stand there, and the API takes neighbours of one role for one message. Thinking without words is how the
 * API itself sends thinking that it does not show.
 */
const PAUSE: DemoBlock = { ...thinkingBlock(0), pieces: [], signature: btoa("paused") };

/** Whether a block of the transcript ended a message that was paused. */
export function isPause(block: ContentBlock): boolean {
  return block.type === "thinking" && block["signature"] === PAUSE.signature;
}

function textBlock(pieces: Iterable<string>, everyMs = 0): DemoBlock {
  return { start: { type: "text", text: "" }, pieces, delta: (text) => ({ type: "text_delta", text }), everyMs };
}

function thinkingBlock(words: number, everyMs = 0): DemoBlock {
  return {
    start: { type: "thinking", thinking: "", signature: "" },
    pieces: thoughts(words),
    delta: (thinking) => ({ type: "thinking_delta", thinking }),
    signature: btoa(`thought for ${words} words`),
    everyMs,
  };
}

function toolBlock(id: string, name: string, input: string): DemoBlock {
  return {
    start: { type: "tool_use", id, name, input: {} },
    pieces: wordsOf(input),
    delta: (partial_json) => ({ type: "input_json_delta", partial_json }),
    everyMs: 0,
  };
}

/** Words with the blanks behind them: together they are the text. */
function* wordsOf(text: string): Generator<string> {
  for (const [word] of text.matchAll(/\S+\s*|\s+/g)) yield word;
}

function* numbersTo(end: number): Generator<string> {
  for (let number = 1; number <= end; number++) yield `${number} `;
}

const THOUGHT = "First I look at what was asked, then at what is there, and then I choose what comes next.".split(" ");

function* thoughts(words: number): Generator<string> {
  for (let i = 0; i < words; i++) yield `${THOUGHT[i % THOUGHT.length]} `;
}
