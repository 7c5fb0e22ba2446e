import type { Gateway } from "../client/gateway.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import type { Input } from "../protocol/inputs.ts";
import type { PendingInput } from "../protocol/rest.ts";
import { showHiddenLine } from "../protocol/show-hidden.ts";
import { type Approval, answerFor } from "./approval.ts";
import { allCalls, clientsTool, promptFor, type WaitingCall, waitingText, wholeInputOf } from "./asked-input.ts";
import { EXIT, Failure } from "./failure.ts";
import { nameOfCall } from "./name-of-call.ts";
import { ownCommand } from "./own-command.ts";
import { Prompter } from "./prompter.ts";
import { refusalOf } from "./refusal.ts";
import type { Output, Renderer } from "./render.ts";
import { parseTyped } from "./typed-answer.ts";

export type DeskOptions = {
  gateway: Gateway;
  sessionId: string;
  renderer: Renderer;
  approval: Approval | null;
  /** Whether that is for whatever the session asks, and not only for what the shown turn does. */
  approvesAll: boolean;
  /** What other commands need to find the gateway. */
  flags: string;
};

/** What is looked at or asked right now. */
type Asking = {
  inputId: string;
  withdrawn: AbortController;
  /** Once there is a prompt. */
  input: Input | null;
};

/**
 * Answers what a session's turns ask for: as `--approve` says, or as somebody at the terminal does. Where there is no
 * terminal and an answer is needed that only a person can give, the command leaves, and says how to answer.
 */
export class Desk {
  readonly prompter = new Prompter();
  readonly #options: DeskOptions;
  #leaving = new AbortController();
  /** The turn that is shown. */
  #turnId: string | null = null;
  /** Whether it waits, as far as is known. */
  #waits = false;
  /** Tools of which all calls were allowed. */
  readonly #allowed = new Set<string>();
  /** The names of clients' tools, by their calls. */
  readonly #calls = new Map<string, string>();
  #queue: PendingInput[] = [];
  #working = false;
  #asking: Asking | null = null;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** Aborted with the Failure to leave with. */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Shows an event, and sees to what it asks for. What is past is only shown. */
  show(event: Event, isPast = false): void {
    const { renderer } = this.#options;
    this.#turnId ??= event.turn_id;
    if (event.type === "TOOL_CALL" && event.data.executor === "client") this.#calls.set(event.data.id, event.data.name);
    if (this.#isSettledBy(event)) this.#asking?.withdrawn.abort();
    // A prompt says the same, and says it better.
    if (isPast || renderer.isJson || !Prompter.canAsk || !isPrompted(event)) {
      const outputs = renderer.render(event);
      // What is asked stands right above its prompt, or an answer may be meant for something else.
      const card = outputs.length > 0 && this.#asking !== null ? this.#cardOf(this.#asking) : [];
      this.prompter.print(...outputs, ...card);
    }
    if (isPast) return;
    if (event.type === "ITERATION_END") this.#queue = [];
    if (event.type !== "STATUS") {
      if (event.type !== "AUTH_REQUIRED") this.#waits = false;
      return;
    }
    if (event.data.status === "waiting") this.see(pendingIn(event.data));
    // What came before it may wait for somebody.
    if (event.data.status === "queued") this.#start(() => this.#lookForWaiting());
  }

  /** Sees to what a session waits for. */
  see(pending: readonly PendingInput[]): void {
    if (pending.length === 0) return;
    this.#queue = [...pending];
    this.#waits = true;
    this.#start(() => this.#work());
  }

  /** Whether there is no going on, since nobody here can answer. */
  get hasLeft(): boolean {
    const { aborted, reason } = this.signal;
    return aborted && reason instanceof Failure && reason.exitCode === EXIT.waiting;
  }

  /** What is told where the gateway was lost: the turn was not. Anything else comes back as it is. */
  explain(thrown: unknown): unknown {
    const refusal = refusalOf(thrown);
    const isLost = thrown instanceof GatewayError && thrown.code === "unavailable" && this.#turnId !== null;
    if (!isLost || !(refusal instanceof Failure)) return thrown;
    const state = this.#waits ? "the turn still waits" : "the turn is kept";
    return new Failure(refusal.exitCode, `${refusal.message}; ${state}; to go on: ${this.#goOn}`);
  }

  /** Nothing more is shown, and nobody is asked any more. */
  end(): void {
    // The next turn may find what this one lost.
    if (this.signal.aborted && !this.hasLeft) this.#leaving = new AbortController();
    this.#turnId = null;
    this.#waits = false;
    this.#queue = [];
    this.#asking?.withdrawn.abort();
    this.prompter.restore();
  }

  #start(work: () => Promise<void>): void {
    const leaving = this.#leaving;
    work().catch((thrown: unknown) => leaving.abort(refusalOf(this.explain(thrown))));
  }

  async #lookForWaiting(): Promise<void> {
    const { status, pending_inputs } = await this.#session();
    if (status === "waiting") this.see(pending_inputs);
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    try {
      const calls: WaitingCall[] = [];
      let rest = 0;
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        if (!("input_id" in next)) calls.push(await this.#named(next.tool_use_id));
        else if (!(await this.#settle(next.input_id))) rest += 1;
      }
      if (Prompter.canAsk) {
        const { renderer } = this.#options;
        this.prompter.print(...calls.map((call) => renderer.note(`the turn waits: ${clientsTool(call)}`)));
      } else if (rest + calls.length > 0) await this.#leaveIfWaiting();
    } finally {
      this.#working = false;
    }
    // More may have been asked while somebody was told of the rest.
    if (this.#queue.length > 0 && !this.signal.aborted) await this.#work();
  }

  /** Has one input answered; false where nobody here can. */
  async #settle(inputId: string): Promise<boolean> {
    const { gateway, sessionId, approval, approvesAll, renderer } = this.#options;
    const withdrawn = new AbortController();
    this.#asking = { inputId, withdrawn, input: null };
    try {
      const input = await unlessSettled(gateway.input(sessionId, inputId));
      if (input === null || input.status === "settled") return true;
      const known = answerFor(input, approval, this.#allowed, approvesAll ? undefined : this.#turnId);
      if (known === null && !Prompter.canAsk) return false;
      if (known !== null) {
        const why = this.#allowed.has(input.tool) ? `as all ${allCalls(input.tool)}` : `by --approve ${known}`;
        const said = known === "allow" ? "Yes" : "No";
        this.prompter.print(renderer.note(`${showHiddenLine(input.message)} ${said}, ${why}`));
      }
      const response = known ?? (await this.#ask({ inputId, withdrawn, input }));
      if (response !== null) await unlessSettled(gateway.answer(sessionId, inputId, response));
      return true;
    } finally {
      this.#asking = null;
    }
  }

  /** Asks until there is an answer; null where there comes none. */
  async #ask(asking: Asking & { input: Input }): Promise<string | null> {
    const { renderer } = this.#options;
    const { input } = asking;
    const withdrawn = asking.withdrawn.signal;
    this.#asking = asking;
    this.prompter.print(...this.#cardOf(asking));
    for (;;) {
      const typed = await this.prompter.ask(promptFor(input, Date.now()), withdrawn);
      if (typed === "closed") this.#leave();
      // Whoever cancels the turn is not asked for the rest of it.
      if (typed === "closed" || (typed === "withdrawn" && !withdrawn.aborted)) this.#queue = [];
      if (typed === "closed" || typed === "withdrawn") return null;
      const answer = parseTyped(typed.line, input);
      if (answer.does === "show_all") {
        this.prompter.print(...wholeInputOf(input).map((line) => renderer.note(`  ${line}`)));
      }
      if (answer.does === "ask_again") this.prompter.print(renderer.note(answer.why));
      if (answer.does === "allow_all") this.#allowed.add(input.tool);
      if (answer.does === "allow_all") return "allow";
      if (answer.does === "answer") return answer.response;
    }
  }

  #cardOf({ input, withdrawn }: Asking): Output[] {
    return input === null || withdrawn.signal.aborted ? [] : this.#options.renderer.asked(input);
  }

  /** Whoever can only wait leaves, unless what was answered just now lets the turn go on. */
  async #leaveIfWaiting(): Promise<void> {
    const { gateway, sessionId, flags } = this.#options;
    const { status, pending_inputs } = await this.#session();
    if (status !== "waiting") return;
    const inputs = await Promise.all(
      pending_inputs.flatMap((pending) => ("input_id" in pending ? [gateway.input(sessionId, pending.input_id)] : [])),
    );
    const calls = await Promise.all(
      pending_inputs.flatMap((pending) => ("input_id" in pending ? [] : [this.#named(pending.tool_use_id)])),
    );
    this.#leaving.abort(new Failure(EXIT.waiting, waitingText(sessionId, { inputs, calls, flags })));
  }

  #leave(): void {
    this.#leaving.abort(new Failure(EXIT.waiting, `the turn waits for an answer; to go on: ${this.#goOn}`));
  }

  get #goOn(): string {
    const { sessionId, flags } = this.#options;
    return ownCommand(`resume ${sessionId}${flags}`);
  }

  /** A call of a client's tool; its event may be among those that were not shown. */
  async #named(tool_use_id: string): Promise<WaitingCall> {
    const { gateway, sessionId } = this.#options;
    const name = this.#calls.get(tool_use_id) ?? (await nameOfCall(gateway, sessionId, tool_use_id));
    return { tool_use_id, name };
  }

  /** Whether an event takes the prompt away: there was an answer, from wherever, or nobody needs one any more. */
  #isSettledBy({ type, data }: Event): boolean {
    if (this.#asking === null) return false;
    if (type === "STATUS") return data.status === "answered" && data.input_id === this.#asking.inputId;
    return type === "ITERATION_END";
  }

  async #session() {
    return await this.#options.gateway.resumeSession(this.#options.sessionId);
  }
}

function pendingIn(data: { input_ids: string[]; tool_use_ids?: string[] | undefined }): PendingInput[] {
  return [
    ...data.input_ids.map((input_id) => ({ input_id, kind: "approval" as const })),
    ...(data.tool_use_ids ?? []).map((tool_use_id) => ({ tool_use_id, kind: "tool" as const })),
  ];
}

function isPrompted({ type, data }: Event): boolean {
  return type === "AUTH_REQUIRED" || (type === "STATUS" && data.status === "waiting");
}

/** What is asked or answered here may have been settled meanwhile; that is null, and the log tells of it. */
async function unlessSettled<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (thrown) {
    if (thrown instanceof GatewayError && (thrown.code === "already_answered" || thrown.code === "not_found"))
      return null;
    throw thrown;
  }
}
