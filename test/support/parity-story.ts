import type { Observation } from "../../src/parity/compare/observation.ts";
import type { Shown, View } from "../../src/parity/entry-points/entry-point.ts";
import { formatCursor } from "../../src/protocol/cursors.ts";
import type { Event, EventOf, NewEvent } from "../../src/protocol/events.ts";
import { traceIdOf } from "../../src/protocol/ids.ts";

/** A block that streams: where its text is cut, and whether its end comes with the last characters or after them. */
export type Block = { block: "TEXT" | "THINKING"; text: string; cuts?: readonly number[]; endsAlone?: boolean };

/** What happens in a turn after its beginning, in order. `discard` names blocks by how many there were before. */
export type Story = readonly (Block | NewEvent | { discard: readonly number[] })[];

/** What differs between two sessions that do the same. */
export type Circumstances = { session: string; turn: string; user: string; workspace: string; at: number };

const ULID = "01M7YM0S1TW6WX0ERN68ZK9S7";

export const circumstances = (letter: string): Circumstances => ({
  session: `session_${ULID}${letter}`,
  turn: `turn_${ULID}${letter}`,
  user: `user ${letter}`,
  workspace: `/home/${letter}`,
  at: Date.UTC(2026, 0, letter.codePointAt(0)),
});

/** The live events of a turn in which a story happens, with the cursors that SPEC.md asks for. */
export function tell(story: Story, { session, turn, user, workspace, at }: Circumstances): Event[] {
  const events: Event[] = [];
  const blocks: number[] = [];
  let seq = 0;
  const place = (number: number, cursor: string) => ({
    seq: number,
    cursor,
    turn_id: turn,
    timestamp: new Date(at + number).toISOString(),
  });
  const append = (event: NewEvent) => {
    seq++;
    events.push({ ...place(seq, formatCursor({ seq })), ...event });
  };
  const stream = ({ block, text, cuts = [], endsAlone = false }: Block) => {
    seq++;
    blocks.push(seq);
    const inside = [...new Set(cuts)].filter((cut) => cut > 0 && cut < text.length).sort((a, b) => a - b);
    const bounds = [0, ...inside, text.length, ...(endsAlone ? [text.length] : [])];
    for (const [at, end] of bounds.slice(1).entries()) {
      const offset = bounds[at] ?? 0;
      const done = at === bounds.length - 2;
      const cursor = formatCursor(done ? { seq } : { seq, block: { seq, offset: end } });
      const data = { offset, done };
      const piece = text.slice(offset, end);
      if (block === "TEXT") events.push({ ...place(seq, cursor), type: block, data: { text: piece, ...data } });
      else events.push({ ...place(seq, cursor), type: block, data: { thinking: piece, ...data } });
    }
  };
  append({ type: "SESSION_INFO", data: { session_id: session, user_id: user, workspace, model: "demo" } });
  append({ type: "USER_INPUT", data: { text: "Do it.", user_id: user, metadata: {} } });
  append({ type: "STATUS", data: { status: "processing", iteration: 1, path: "complex" } });
  for (const step of story) {
    if ("block" in step) stream(step);
    else if ("type" in step) append(step);
    else {
      const discard = step.discard.flatMap((index) => blocks[index] ?? []);
      append({ type: "STATUS", data: { status: "retrying", attempt: 2, code: "cut", delay_seconds: at % 7, discard } });
    }
  }
  append(endOf(story, turn, at));
  return events;
}

function endOf(story: Story, turn: string, at: number): NewEvent {
  const usage = { input_tokens: 7, output_tokens: 3, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
  const data: EventOf<"ITERATION_END">["data"] = {
    status: "complete",
    stop_reason: "end_turn",
    stop_details: null,
    tool_calls: story.filter((step) => "type" in step && step.type === "TOOL_CALL").length,
    duration_seconds: (at % 1_000) / 1_000,
    usage,
    trace_id: traceIdOf(turn),
  };
  return { type: "ITERATION_END", data };
}

/** A call of `write` that makes a work product, with its result. */
export function madeFile({ session, at }: Circumstances, path: string): NewEvent[] {
  const time_offset = (at % 100) / 10;
  return [
    {
      type: "TOOL_CALL",
      data: { id: "toolu_1", name: "write", input: { path, content: "x" }, executor: "gateway", time_offset },
    },
    {
      type: "TOOL_RESULT",
      data: {
        tool_use_id: "toolu_1",
        is_error: false,
        content_preview: `Created ${path} in ${session}.`,
        content_size: 20,
        duration_seconds: time_offset,
        time_offset,
      },
    },
    {
      type: "WORK_PRODUCT",
      data: {
        path,
        workspace_path: path,
        size: 1,
        content_type: "text/plain",
        sha256: "0".repeat(64),
        url: `/api/v1/sessions/${session}/files/${path}`,
      },
    },
  ];
}

/** What an entry point brought that has one view, of these events. */
export function observed(
  entry: string,
  events: readonly Event[],
  { scope = "log", timing = "live" }: Partial<Pick<View, "scope" | "timing">> = {},
): Observation {
  return {
    entry,
    scene: "story",
    views: [{ name: "view", timing, scope, streams: [events] }],
    shown: { live: null, replay: null },
    endings: [],
    files: [],
    seconds: 0,
    failure: null,
  };
}

/** What was shown live, and nothing else. */
export function showed(entry: string, shown: Shown): Observation {
  return { ...observed(entry, []), views: [], shown: { live: shown, replay: null } };
}

/** A question, which is answered by the user of the session. */
export function askedQuestion({ session, user, at }: Circumstances, response: string): NewEvent[] {
  const input_id = session.replace("session", "input");
  const time_offset = (at % 100) / 10;
  const tool_use_id = "toolu_2";
  const input = { question: "Which colour?" };
  const expires_at = new Date(at + 7_000).toISOString();
  return [
    { type: "TOOL_CALL", data: { id: tool_use_id, name: "ask_user", input, executor: "gateway", time_offset } },
    {
      type: "AUTH_REQUIRED",
      data: { input_id, kind: "question", message: input.question, tool_use_id, expires_at, default: null },
    },
    { type: "STATUS", data: { status: "waiting", input_ids: [input_id] } },
    { type: "STATUS", data: { status: "answered", input_id, response, user_id: user, via: "token" } },
    {
      type: "TOOL_RESULT",
      data: {
        ...{ tool_use_id, is_error: false, content_preview: response, content_size: response.length },
        ...{ duration_seconds: time_offset, time_offset },
      },
    },
  ];
}
