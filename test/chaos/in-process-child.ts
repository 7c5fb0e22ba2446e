import { fileURLToPath } from "node:url";
import { GatewayError } from "../../src/protocol/errors.ts";
import { type Event, event as eventShape } from "../../src/protocol/events.ts";
import { RunningProcess } from "../support/run-process.ts";
import type { Command, Deed, Told } from "./in-process-wire.ts";

const SCRIPT = fileURLToPath(new URL("in-process-process.ts", import.meta.url));

type Waiting = { answer: PromiseWithResolvers<unknown>; onEvent: (event: Event) => void };

/** A process that holds sessions, in a process group of its own. What it is asked while it dies fails as `unavailable`. */
export class InProcessChild {
  readonly process: RunningProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready: Promise<unknown>;
  #asked = 0;
  #unread = "";
  #dead = false;

  /** `holder` is what others are told of it. */
  constructor(holder: string, folder: string, env: Record<string, string>) {
    this.process = new RunningProcess(process.execPath, [SCRIPT, holder], { cwd: folder, env });
    this.#ready = this.#wait(0, () => undefined);
    const { stdin, stdout } = this.process.child;
    if (stdin === null || stdout === null) throw new Error("the process has no pipes");
    // It may die while it is being asked.
    stdin.on("error", () => undefined);
    stdout.on("data", (text: string) => {
      // The last line may be cut off by a kill.
      const lines = `${this.#unread}${text}`.split("\n");
      this.#unread = lines.pop() ?? "";
      for (const line of lines) this.#hear(line);
    });
    void this.process.ended.then(() => this.#end());
  }

  get pid(): number {
    return this.process.group;
  }

  /** Resolves once it takes commands. */
  async ready(): Promise<void> {
    await this.#ready;
  }

  /** @throws GatewayError what it answers, or `unavailable` where it died before it did */
  ask(deed: Deed, onEvent: (event: Event) => void = () => undefined): Promise<unknown> {
    if (this.#dead) return Promise.reject(died());
    const command: Command = { id: ++this.#asked, ...deed };
    const answer = this.#wait(command.id, onEvent);
    this.process.child.stdin?.write(`${JSON.stringify(command)}\n`);
    return answer;
  }

  /** Stands still until `resume`, so that it does nothing between a kill and a look at what it left. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Resolves when nothing of its group is left. */
  async kill(): Promise<void> {
    if (!this.process.hasEnded) await this.process.killGroup("SIGKILL");
    await this.process.assertGroupEnded();
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.process.hasEnded) process.kill(-this.pid, signal);
  }

  #wait(id: number, onEvent: (event: Event) => void): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    // Whoever asked may not be listening any more.
    answer.promise.catch(() => undefined);
    this.#waiting.set(id, { answer, onEvent });
    return answer.promise;
  }

  #hear(line: string): void {
    const told: Told = JSON.parse(line);
    const waiting = this.#waiting.get(told.id);
    if (waiting === undefined) throw new Error(`nobody asked: ${line}`);
    if ("event" in told) {
      waiting.onEvent(eventShape.parse(told.event));
      return;
    }
    this.#waiting.delete(told.id);
    if ("error" in told) waiting.answer.reject(new GatewayError(told.error.code, told.error.message));
    else waiting.answer.resolve(told.value);
  }

  #end(): void {
    this.#dead = true;
    for (const { answer } of this.#waiting.values()) answer.reject(died());
    this.#waiting.clear();
  }
}

function died(): GatewayError {
  return new GatewayError("unavailable", "The process is not there.");
}
