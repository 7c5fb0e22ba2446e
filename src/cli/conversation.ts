import { resolve } from "node:path";
import type { Interface } from "node:readline";
import { UnreachableError } from "../client/http.ts";
import type { Session } from "../protocol/rest.ts";
import { parseApproval, permissionsOf } from "./approval.ts";
import { type Choice, chooseGateway } from "./choose-gateway.ts";
import { Desk } from "./desk.ts";
import { EXIT, Failure } from "./failure.ts";
import { gatewayArguments } from "./gateway-flags.ts";
import { fallbackModel, gatewayPermissions, modelSettings, refusalOfNode, workspaceFolder } from "./in-process.ts";
import { cancelOnInterrupt } from "./interrupts.ts";
import { type OpenGateway, type OpenOptions, openGateway, openLocal } from "./open-gateway.ts";
import { ownCommand } from "./own-command.ts";
import { noSession, refusalOf } from "./refusal.ts";
import type { Renderer } from "./render.ts";
import { sanitizeLine } from "./sanitize.ts";
import { readSources } from "./settings.ts";
import { cursorPath, readCursor, ShownCursor } from "./shown-cursor.ts";
import { createRenderer, print } from "./terminal.ts";
import { exitCodeOf } from "./turn-exit.ts";
import type { TurnFlags } from "./turn-flags.ts";

/** A gateway, and the session there that is talked to. */
type Place = { opened: OpenGateway; session: Session };

/** One session as it is talked to at a terminal. */
export class Conversation {
  readonly #opened: OpenGateway;
  readonly #sessionId: string;
  readonly #flags: TurnFlags;
  readonly #shown: ShownCursor;
  readonly #desk: Desk;
  readonly renderer: Renderer;

  private constructor({ opened, session }: Place, flags: TurnFlags, renderer: Renderer) {
    this.#opened = opened;
    this.#sessionId = session.session_id;
    this.#flags = flags;
    this.renderer = renderer;
    this.#desk = new Desk({
      gateway: opened.gateway,
      sessionId: session.session_id,
      renderer,
      approval: parseApproval(flags.approve),
      approvesAll: false,
      flags: gatewayArguments(flags),
    });
    const path = cursorPath(opened, session.session_id);
    this.#shown = new ShownCursor(path, flags.session === undefined ? "0" : readCursor(path));
  }

  /**
   * Finds the session that the flags name, or makes one and tells its id.
   *
   * @param holder what other processes are told of this one, such as `turnpike chat`
   * @throws Failure
   */
  static async open(flags: TurnFlags, holder: string): Promise<Conversation> {
    const sources = readSources();
    const choice = chooseGateway(flags, sources);
    const renderer = createRenderer(flags);
    const tell = (text: string) => print(renderer.note(text));
    const place = await findPlace(flags, choice, { sources, holder, tell });
    if (flags.session === undefined) tellOfSession(place, tell);
    return new Conversation(place, flags, renderer);
  }

  /**
   * Runs one turn and shows it, and has answered what it asks for. SIGINT cancels it, a second one leaves at once.
   *
   * @returns the exit code that the turn's end asks for
   * @throws Failure if the gateway refuses the message or is lost, or nobody here can answer
   */
  async say(text: string): Promise<number> {
    const { gateway } = this.#opened;
    const { signal } = this.#desk;
    let begun: (turnId: string) => void = () => undefined;
    // Before the turn is known there is nothing to name; its first event brings its id.
    const turnId = new Promise<string>((resolve) => {
      begun = resolve;
    });
    const cancel = async () => await gateway.cancelTurn(this.#sessionId, await turnId);
    const leaving = `left before its end; to go on: ${ownCommand(`resume ${this.#sessionId}`)}`;
    try {
      return await cancelOnInterrupt({ renderer: this.renderer, cancel, leaving }, async () => {
        const message = { user_input: text, ...this.#flags.message };
        for await (const event of gateway.execute(this.#sessionId, message, { signal })) {
          if (event.turn_id !== null) begun(event.turn_id);
          this.#desk.show(event);
          this.#shown.take(event);
          if (event.type === "ITERATION_END") return exitCodeOf(event.data.status);
        }
        throw new Failure(EXIT.refused, "The gateway ended the stream before the turn's end.");
      });
    } catch (thrown) {
      throw refusalOf(this.#desk.explain(thrown), noSession(this.#sessionId));
    } finally {
      this.#desk.end();
    }
  }

  /** Answers are typed where messages are. */
  readFrom(lines: Interface): void {
    this.#desk.prompter.share(lines);
  }

  /** Whether there is no going on, since nobody here can answer. */
  get hasLeft(): boolean {
    return this.#desk.hasLeft;
  }

  /** Where this machine's own sessions are kept. */
  get home(): string {
    return this.#opened.home;
  }

  async close(): Promise<void> {
    this.#shown.close();
    await this.#opened.gateway.close();
  }
}

/** @throws Failure */
async function findPlace(flags: TurnFlags, choice: Choice, options: OpenOptions): Promise<Place> {
  const workspace_dir = flags.workspace === undefined ? undefined : workspaceFolder(flags.workspace);
  const approval = parseApproval(flags.approve);
  const opened = await openGateway(choice, options);
  // What another gateway has set for all is not known here.
  const settled = opened.address === null ? gatewayPermissions(options.sources) : undefined;
  const permissions = permissionsOf(approval, flags.workspace, settled);
  try {
    const session =
      flags.session === undefined
        ? await opened.gateway.createSession({ model: flags.model, workspace_dir, permissions })
        : await opened.gateway.resumeSession(flags.session);
    return { opened, session };
  } catch (thrown) {
    await opened.gateway.close();
    if (choice.kind === "remote" && choice.mayFallBack && thrown instanceof UnreachableError) {
      return await fallBack(flags, `no gateway answers at ${choice.baseUrl} (${thrown.reason})`, options);
    }
    throw refusalOf(thrown, flags.session === undefined ? undefined : noSession(flags.session));
  }
}

/** Begins a session in this process that was meant for a gateway which does not answer. @throws Failure */
async function fallBack(flags: TurnFlags, why: string, options: OpenOptions): Promise<Place> {
  const refusal = refusalOfNode(process.versions.node);
  if (refusal !== null) throw new Failure(EXIT.refused, `${sanitizeLine(why)}; ${refusal}`);
  const opened = await openLocal(options);
  const model = fallbackModel(flags.model, modelSettings(options.sources), opened.gateway.defaultModel);
  options.tell(sanitizeLine(`${why}; going on in this process with the model ${model}`));
  try {
    const permissions = permissionsOf(parseApproval(flags.approve), undefined, gatewayPermissions(options.sources));
    return { opened, session: await opened.gateway.createSession({ model, permissions }) };
  } catch (thrown) {
    await opened.gateway.close();
    throw refusalOf(thrown);
  }
}

function tellOfSession({ opened: { address, home }, session }: Place, tell: (text: string) => void): void {
  tell(`session ${session.session_id}`);
  if (address === null) tell(`folder ${sanitizeLine(resolve(home, session.workspace_dir))}`);
}
