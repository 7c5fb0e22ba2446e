import { ExternalGateway } from "../client/external-gateway.ts";
import type { Gateway } from "../client/gateway.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { EndStatus } from "../protocol/events.ts";
import { EXIT, Failure } from "./failure.ts";
import type { Renderer } from "./render.ts";
import { gatewayAddress, notStarted, readSources } from "./settings.ts";
import { createRenderer, print } from "./terminal.ts";
import type { TurnFlags } from "./turn-flags.ts";
import { webSocketOption } from "./web-socket.ts";

/** One session as it is talked to at a terminal. */
export class Conversation {
  readonly #gateway: Gateway;
  readonly #sessionId: string;
  readonly #flags: TurnFlags;
  readonly renderer: Renderer;

  private constructor(gateway: Gateway, sessionId: string, flags: TurnFlags, renderer: Renderer) {
    this.#gateway = gateway;
    this.#sessionId = sessionId;
    this.#flags = flags;
    this.renderer = renderer;
  }

  /** Finds the session that the flags name, or makes one and tells its id. @throws Failure */
  static async open(flags: TurnFlags): Promise<Conversation> {
    const address = gatewayAddress(flags, readSources());
    const renderer = createRenderer(flags);
    const gateway = new ExternalGateway({ ...address, ...(await webSocketOption()) });
    try {
      const session =
        flags.session === undefined
          ? await gateway.createSession({ model: flags.model })
          : await gateway.resumeSession(flags.session);
      if (flags.session === undefined) print(renderer.note(`session ${session.session_id}`));
      return new Conversation(gateway, session.session_id, flags, renderer);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      if (thrown.code === "unavailable" && address.local) throw new Failure(EXIT.refused, notStarted(address.baseUrl));
      if (thrown.code === "not_found") throw new Failure(EXIT.refused, `There is no session ${flags.session}.`);
      throw refused(thrown);
    }
  }

  /**
   * Runs one turn and shows it. SIGINT cancels it, a second one leaves at once.
   *
   * @returns the exit code that the turn's end asks for
   * @throws Failure if the gateway refuses the message or is lost
   */
  async say(text: string): Promise<number> {
    let turnId: string | null = null;
    let interrupted = false;
    const cancel = () => {
      // Before the turn is known there is nothing to name; its first event brings its id.
      if (turnId === null) return;
      this.#gateway.cancelTurn(this.#sessionId, turnId).catch((thrown: unknown) => {
        print(this.renderer.error(`could not cancel: ${thrown instanceof Error ? thrown.message : thrown}`));
      });
    };
    const onInterrupt = () => {
      if (interrupted) process.exit(EXIT.cancelled);
      interrupted = true;
      print(this.renderer.note("cancelling (once more to leave at once)"));
      cancel();
    };
    process.on("SIGINT", onInterrupt);
    try {
      const message = { user_input: text, ...this.#flags.message };
      for await (const event of this.#gateway.execute(this.#sessionId, message)) {
        const isFirst = turnId === null;
        turnId = event.turn_id;
        if (isFirst && interrupted) cancel();
        print(...this.renderer.render(event));
        if (event.type === "ITERATION_END") return exitCodeOf(event.data.status);
      }
      throw new Failure(EXIT.refused, "The gateway ended the stream before the turn's end.");
    } catch (thrown) {
      throw thrown instanceof GatewayError ? refused(thrown) : thrown;
    } finally {
      process.off("SIGINT", onInterrupt);
    }
  }
}

function refused({ code, message }: GatewayError): Failure {
  return new Failure(EXIT.refused, `${message} (${code})`);
}

function exitCodeOf(status: EndStatus): number {
  switch (status) {
    case "complete":
      return EXIT.complete;
    case "cancelled":
      return EXIT.cancelled;
    case "failed":
    case "refused":
    case "max_iterations":
    case "budget_exceeded":
      return EXIT.failed;
  }
}
