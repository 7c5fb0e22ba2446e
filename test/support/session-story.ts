import { expect } from "vitest";
import * as z from "zod";
import type { EndStatus, NewEvent } from "../../src/protocol/events.ts";
import type { PendingInput, SubmitTurnBody } from "../../src/protocol/rest.ts";

export type OnBusy = NonNullable<SubmitTurnBody["on_busy"]>;

/** What became of a message, as far as the log and the answers told. `absent`: it was not accepted. */
type Fate = "offered" | "absent" | "queued" | "started" | "steering" | "joined" | "withdrawn";
type Message = { text: string; mode: OnBusy; fate: Fate };
type Waiting = { turnId: string; text: string };
type Running = Waiting & {
  cancelled: boolean;
  calls: { id: string; name: string; input: unknown }[];
  /** How often it was resumed since it last got further. */
  resumes: number;
  /** The same as it was at the last result. */
  resumesBefore: number;
  /** The same, as it was when its last calls were given up, which happens to several in one moment. */
  givenUpAt: number;
  modelCalls: number;
  /** It waits, and nothing was settled since. */
  waits: boolean;
  /** What is asked of people for its calls, and of which calls it was answered that they may run. */
  asked: Map<string, { inputId: string; kind: "approval" | "question" }>;
  allowed: Set<string>;
};

/** What is stored of the running turn and not told in its log: the steps it took, and the calls that are being applied. */
export type Progress = { modelCalls: number; applying: string[] };
type Result = Extract<NewEvent, { type: "TOOL_RESULT" }>["data"];

/** An event as it was stored; of a block only that it is one. */
export type StoredEvent = { seq: number; turn_id: string | null } & (
  | Exclude<NewEvent, { type: "TEXT" | "THINKING" }>
  | { type: "TEXT" | "THINKING" }
);

/** What every edit looks for, and every overwriting leaves. */
export const HEAD = "HEAD";
const path = z.literal("f.txt");
const change = z.discriminatedUnion("name", [
  z.object({ name: z.literal("write"), input: z.object({ path, content: z.string(), mode: z.string().optional() }) }),
  z.object({ name: z.literal("edit"), input: z.object({ path, new_string: z.string() }) }),
  z.object({ name: z.literal("delete"), input: z.object({ path }) }),
]);

/**
 * What must be true of a session, told from its log and from what its clients were answered: who runs, who waits, what
 * has been said to the turn that runs, and what the one file holds. It refuses any event that may not come now.
 */
export class SessionStory {
  running: Running | null = null;
  readonly queue: Waiting[] = [];
  /** Texts that were said to the running turn and have not joined. */
  readonly steers: string[] = [];
  readonly messages = new Map<string, Message>();
  /** What the user said, in the order in which it is in the transcript. */
  said: { text: string; turnId: string }[] = [];
  readonly ends = new Map<string, EndStatus>();
  /** What the file may hold: one thing, but for calls of which the log says that nobody knows. */
  contents = new Set<string | null>([null]);
  /** A turn may fail for this reason too. */
  faulty = false;
  /** The queued turn that is being taken out. */
  withdrawing: string | null = null;
  /** The turn that is being cancelled: one that waits for somebody ends in the same moment. */
  cancelling: string | null = null;
  /** What a client puts into the file; null where it removes it. */
  putting: string | null = null;
  /** Everything that people were ever asked, in order, and what it came to. */
  readonly inputs = new Map<string, { toolUseId: string; kind: "approval" | "question"; answers: (string | null)[] }>();
  /** What each call of a client's tool came to; null while it has no result. */
  readonly clientResults = new Map<string, string | null>();
  lastSeq = 0;
  /** Calls that may have taken effect although their result is an error. */
  readonly #inPart: boolean;
  /** What is to be told of as queued before anything else. */
  #requeued: string[] = [];
  #omits = false;
  /** The calls of which it was seen that their changes were decided. */
  readonly #decided = new Set<string>();

  readonly #hasCallsLeft: (turnId: string) => boolean;

  constructor({ inPart, hasCallsLeft }: { inPart: boolean; hasCallsLeft(turnId: string): boolean }) {
    this.#inPart = inPart;
    this.#hasCallsLeft = hasCallsLeft;
  }

  get busy(): boolean {
    return this.running !== null || this.queue.length > 0;
  }

  /** A message that a client sends now. */
  offer(text: string, mode: OnBusy): Message {
    const message = this.messages.get(text) ?? { text, mode, fate: "offered" };
    if (message.fate === "absent") message.fate = "offered";
    this.messages.set(text, message);
    return message;
  }

  /** It is known that a message was stored and waits to join. */
  steer(message: Message): void {
    expect(message, "a message that steers").toMatchObject({ fate: "offered", mode: "steer" });
    expect(this.running, "the turn that is steered").not.toBeNull();
    message.fate = "steering";
    this.steers.push(message.text);
  }

  take(event: StoredEvent): void {
    expect(event.seq, "the next seq").toBe(this.lastSeq + 1);
    this.lastSeq = event.seq;
    if (this.#requeued.length > 0) {
      expect(event.type === "STATUS" && event.data.status, "what had not joined becomes turns at once").toBe("queued");
    }
    if (event.type === "STATUS") this.#takeStatus(event.data, event.turn_id);
    else if (event.type === "SESSION_INFO") expect(this.running, "a turn runs alone").toBeNull();
    else if (event.type === "USER_INPUT") this.#start(event.data.text, event.turn_id);
    else if (event.type === "ITERATION_END" && event.turn_id !== this.running?.turnId) this.#withdrawn(event.turn_id);
    else this.#goOn(this.#runs(event.turn_id), event);
  }

  /** To be told right before and right after each start, so that it is known which came first. */
  see({ modelCalls, applying }: Progress): void {
    const { running } = this;
    if (running === null) return;
    const decided = applying.filter((id) => !this.#decided.has(id));
    if (modelCalls > running.modelCalls || decided.length > 0) running.resumes = 0;
    running.modelCalls = modelCalls;
    for (const id of decided) this.#decided.add(id);
  }

  /** Something of the turn that runs. */
  #goOn(running: Running, event: StoredEvent): void {
    switch (event.type) {
      case "TOOL_CALL":
        running.calls.push(event.data);
        running.resumes = 0;
        if (event.data.executor === "client") this.clientResults.set(event.data.id, null);
        break;
      case "AUTH_REQUIRED": {
        const { input_id, kind, tool_use_id } = event.data;
        if (kind === "link") throw new Error("nobody asks for links");
        this.inputs.set(input_id, { toolUseId: tool_use_id, kind, answers: [] });
        running.asked.set(tool_use_id, { inputId: input_id, kind });
        break;
      }
      case "TOOL_RESULT": {
        running.waits = false;
        const { tool_use_id, content_preview } = event.data;
        const at = running.calls.findIndex(({ id }) => id === tool_use_id);
        const [call] = running.calls.splice(at, 1);
        expect(call?.id, "the call of a result").toBe(tool_use_id);
        running.asked.delete(tool_use_id);
        if (this.clientResults.has(tool_use_id)) this.clientResults.set(tool_use_id, content_preview);
        // What somebody's answer or the permissions closed has no part in what the host does.
        if (call !== undefined && isSettled(call.name, event.data)) break;
        expect(at, "results in the order of the calls").toBe(0);
        if (call !== undefined) {
          const resumes = Math.max(running.resumes, running.givenUpAt);
          this.#checkResult(call, event.data, resumes);
          this.#takeEffect(call, event.data, resumes);
          running.givenUpAt = isGivenUp(event.data) ? resumes : 0;
        }
        running.resumesBefore = running.resumes;
        running.resumes = 0;
        break;
      }
      case "ERROR": {
        this.#omits = ["invalid_request_error", "request_too_large"].includes(event.data.code);
        // The end of a turn gives its open calls their results first.
        const kills = Math.max(running.resumes, running.resumesBefore);
        if (event.data.code === "interrupted") expect(kills, "kills without progress").toBeGreaterThan(2);
        if (event.data.code === "internal") expect(this.faulty, "something that went wrong").toBe(true);
        break;
      }
      case "ITERATION_END":
        this.#end(running, event.data.status);
        break;
    }
  }

  #runs(turnId: string | null): Running {
    const { running } = this;
    if (running === null || running.turnId !== turnId) throw new Error("an event of a turn that does not run");
    return running;
  }

  #takeStatus(data: Extract<NewEvent, { type: "STATUS" }>["data"], turnId: string | null): void {
    if (data.status === "file_changed") this.contents = new Set([this.putting]);
    if (data.status === "queued") this.#enqueue({ turnId: data.turn_id, text: data.text }, data.position);
    else if (data.status === "file_changed" || data.status === "deleted") expect(turnId).toBeNull();
    else this.#takeStatusOf(this.#runs(turnId), data);
  }

  #takeStatusOf(running: Running, data: Extract<NewEvent, { type: "STATUS" }>["data"]): void {
    running.givenUpAt = 0;
    if (data.status === "resumed") {
      expect(running.waits && !running.cancelled, "a start that finds a turn which waits").toBe(false);
      running.resumes++;
    }
    if (data.status === "waiting") {
      expect([...data.input_ids, ...(data.tool_use_ids ?? [])].toSorted(), "what a turn waits for").toEqual(
        this.pending.map((one) => ("input_id" in one ? one.input_id : one.tool_use_id)).toSorted(),
      );
      running.waits = true;
      running.resumes = 0;
    }
    if (data.status === "answered") this.#takeAnswer(running, data);
    if (data.status !== "steered") return;
    expect(running.calls, "calls before which a text joined").toEqual([]);
    const next = this.steers.shift();
    if (next !== undefined) expect(data.text, "the text that joins").toBe(next);
    const { mode } = this.#settle(data.text, [next === undefined ? "offered" : "steering"], "joined");
    expect(mode).toBe("steer");
    this.said.push({ text: data.text, turnId: running.turnId });
  }

  #takeAnswer(running: Running, { input_id, response }: { input_id: string; response: string | null }): void {
    running.waits = false;
    const input = this.inputs.get(input_id);
    expect(input?.answers, "an answer, once").toEqual([]);
    input?.answers.push(response);
    const toolUseId = input?.toolUseId ?? "";
    expect(running.asked.delete(toolUseId), "an answer to what is asked").toBe(true);
    if (input?.kind === "approval" && response === "allow") running.allowed.add(toolUseId);
  }

  /** What is asked of somebody, in the order of the calls. */
  get pending(): PendingInput[] {
    const { running } = this;
    return (running?.calls ?? []).flatMap(({ id, name }): PendingInput[] => {
      const asked = running?.asked.get(id);
      if (asked !== undefined) return [{ input_id: asked.inputId, kind: asked.kind }];
      const isAsked = name === "lamp" || (name === "held_lamp" && running?.allowed.has(id) === true);
      return isAsked ? [{ tool_use_id: id, kind: "tool" }] : [];
    });
  }

  #settle(text: string, from: Fate[], to: Fate): Message {
    const message = this.messages.get(text);
    if (message === undefined) throw new Error(`nobody said ${text}`);
    expect(from, `what ${text} was before it was ${to}`).toContain(message.fate);
    message.fate = to;
    return message;
  }

  #enqueue(turn: Waiting, position: number): void {
    const again = this.#requeued.shift();
    if (again !== undefined) {
      expect(turn.text).toBe(again);
      this.#settle(turn.text, ["steering"], "queued");
      this.queue.splice(position - 1, 0, turn);
      return;
    }
    expect(this.busy, "something to wait for").toBe(true);
    const { mode } = this.#settle(turn.text, ["offered"], "queued");
    expect(mode).not.toBe("reject");
    if (mode !== "interrupt") {
      // A turn that is being cancelled takes none.
      if (mode === "steer") expect(this.running?.cancelled ?? true, "no turn to steer").toBe(true);
      this.queue.push(turn);
      expect(position).toBe(this.queue.length);
      return;
    }
    expect(position).toBe(1);
    this.queue.unshift(turn);
    if (this.running !== null) this.running.cancelled = true;
    this.#requeued = this.steers.splice(0);
  }

  #start(text: string, turnId: string | null): void {
    expect(this.running, "a turn runs alone").toBeNull();
    if (turnId === null) throw new Error("a message of no turn");
    const next = this.queue.shift();
    if (next !== undefined) expect(next).toEqual({ turnId, text });
    this.#settle(text, [next === undefined ? "offered" : "queued"], "started");
    this.running = {
      turnId,
      text,
      cancelled: false,
      calls: [],
      resumes: 0,
      resumesBefore: 0,
      givenUpAt: 0,
      modelCalls: 0,
      waits: false,
      asked: new Map(),
      allowed: new Set(),
    };
    this.said.push({ text, turnId });
  }

  #end({ turnId, cancelled, calls }: Running, status: EndStatus): void {
    expect(calls, "calls without a result").toEqual([]);
    const wasCancelled = cancelled || turnId === this.cancelling;
    // A fault of the gateway's own ends it as failed, cancelled or not.
    if (!this.faulty || status !== "failed")
      expect(status === "cancelled", `${status}, where it was ${wasCancelled ? "" : "not "}cancelled`).toBe(
        wasCancelled,
      );
    if (status === "complete" && this.steers.length > 0) {
      expect(this.#hasCallsLeft(turnId), "a turn that is complete could have gone on").toBe(false);
    }
    this.ends.set(turnId, status);
    this.running = null;
    if (this.#omits || status === "refused") this.said = this.said.filter((one) => one.turnId !== turnId);
    this.#omits = false;
    this.#requeued = this.steers.splice(0);
  }

  #withdrawn(turnId: string | null): void {
    const at = this.queue.findIndex((one) => one.turnId === turnId);
    const [turn] = this.queue.splice(at, 1);
    if (at === -1 || turn === undefined) throw new Error("the end of a turn that does not run");
    expect(turnId, "the turn that is taken out").toBe(this.withdrawing);
    this.#settle(turn.text, ["queued"], "withdrawn");
    this.ends.set(turn.turnId, "cancelled");
  }

  /** Whether a call may have this result, of those that tell of kills. */
  #checkResult({ id, name }: { id: string; name: string }, result: Result, resumes: number): void {
    const { is_error, content_preview } = result;
    if (isGivenUp(result)) {
      expect(resumes, `kills in ${id}, which was given up`).toBeGreaterThan(name === "unsafe" ? 0 : 2);
    }
    // What was decided is done, whatever comes: the call is told of as it is in the files.
    if (is_error && this.#decided.has(id) && !content_preview.includes("in part") && !this.faulty) {
      expect(resumes, `kills in ${id}, which was decided`).toBeGreaterThan(2);
    }
  }

  #takeEffect({ name, input }: { name: string; input: unknown }, result: Result, resumes: number): void {
    // Only a call that was given up may have been done in part; after every other error nothing was.
    const unknown = this.#inPart && (this.faulty || resumes > 2 || result.content_preview.includes("in part"));
    if (result.is_error && !unknown) return;
    const after = [...this.contents].map((content) => changeBy(name, input, content));
    this.contents = new Set(result.is_error ? [...this.contents, ...after] : after);
  }
}

/** Whether somebody's answer, the time they had, or the permissions gave a call its result. */
function isSettled(name: string, { content_preview }: Result): boolean {
  if (["ask_user", "lamp", "held_lamp", "glob"].includes(name)) return true;
  return content_preview.includes("did not allow") || content_preview.includes("Nobody allowed");
}

/** Whether the host was started again and again in a call, or once in one that may not run again. */
function isGivenUp({ content_preview }: Result): boolean {
  return content_preview.includes("interrupted by a restart");
}

/** What the file holds after a call; one whose input does not fit does nothing. */
function changeBy(name: string, input: unknown, content: string | null): string | null {
  const call = change.safeParse({ name, input }).data;
  if (call === undefined) return content;
  if (call.name === "delete") return null;
  if (call.name === "edit") return content?.replace(HEAD, () => call.input.new_string) ?? null;
  return call.input.mode === "append" ? `${content ?? ""}${call.input.content}` : call.input.content;
}
