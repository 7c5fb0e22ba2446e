import type { Model } from "../engine/ports.ts";
import { GatewayError, notFound } from "../protocol/errors.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { sessionId as sessionIdShape } from "../protocol/ids.ts";
import type { Input } from "../protocol/inputs.ts";
import type { CreateSessionBody, Session as SessionView } from "../protocol/rest.ts";
import { newId } from "../session/new-id.ts";
import { sessionFields } from "../session/session-api.ts";
import type { Settings } from "../session/settings.ts";
import { chooseWorkspace } from "./choose-workspace.ts";
import { Home } from "./home.ts";
import type { LocalSessionOptions } from "./local-deps.ts";
import { LocalSession } from "./local-session.ts";
import { LOCAL_USER } from "./local-user.ts";
import { halfDeleted } from "./remove-traces.ts";
import { SessionIndex } from "./session-index.ts";
import { readInput, readStored } from "./stored-session.ts";

/** The sessions that this process holds, and a look at those that it does not. */
export class HeldSessions {
  readonly home: Home;
  readonly index: SessionIndex;
  readonly #options: LocalSessionOptions;
  /** Each session that is held, or is just being taken, made or removed. */
  readonly #held = new Map<string, Promise<LocalSession>>();

  /** @throws GatewayError `unavailable` where the home at `path` cannot be used */
  static open(path: string, options: { model: Model; holder: string; gateway: GatewaySettings }): HeldSessions {
    try {
      const home = Home.open(path);
      return new HeldSessions({ ...options, home, index: SessionIndex.open(home.index) });
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new GatewayError("unavailable", `Sessions cannot be kept in ${path}: ${why}`);
    }
  }

  private constructor(options: LocalSessionOptions) {
    this.home = options.home;
    this.index = options.index;
    this.#options = options;
  }

  /** @throws GatewayError `path_refused` */
  async create(body: CreateSessionBody, defaultModel: string): Promise<LocalSession> {
    const { source, ...where } = chooseWorkspace(this.home, body.workspace_dir);
    const now = Date.now();
    const settings: Settings = {
      session_id: newId("session"),
      ...sessionFields(LOCAL_USER, { defaultModel, gateway: this.#options.gateway }, body),
      space_id: null,
      ...where,
      created_at: now,
      changed_at: now,
      revision: 0,
    };
    return await this.#keep(settings.session_id, LocalSession.create(this.#options, settings, source));
  }

  /**
   * The session, which this process holds from here on; a turn of it that was interrupted goes on.
   *
   * @throws GatewayError `session_busy` where another process holds it, `not_found`, `path_refused` as `LocalSession.goOn`
   */
  async hold(sessionId: string): Promise<LocalSession> {
    const held = await this.#take(sessionId);
    held.goOn();
    return held;
  }

  /** Null where another process holds it. @throws GatewayError otherwise as `hold` */
  async holdUnlessBusy(sessionId: string): Promise<LocalSession | null> {
    try {
      return await this.hold(sessionId);
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code === "session_busy") return null;
      throw thrown;
    }
  }

  /** A session as it stands, whoever holds it. @throws GatewayError `not_found` */
  async look(sessionId: string): Promise<{ settings: Settings; view: SessionView }> {
    checkId(sessionId);
    const held = await this.#held.get(sessionId)?.catch(() => null);
    if (held) return { settings: held.settings, view: held.describe() };
    try {
      return readStored(this.home, sessionId);
    } catch (thrown) {
      // Whoever asks for a session whose deletion was killed has it come to its end.
      if (thrown instanceof GatewayError && thrown.code === "not_found") await this.#finishRemoval(sessionId);
      throw thrown;
    }
  }

  /** Something that people are asked, whoever holds the session. @throws GatewayError `not_found` */
  async input(sessionId: string, inputId: string): Promise<Input> {
    const { home } = this;
    checkId(sessionId);
    const held = await this.#held.get(sessionId)?.catch(() => null);
    return held?.input(inputId) ?? readInput(home, this.#options.gateway, sessionId, inputId);
  }

  /** @throws GatewayError `session_busy`, `not_found` */
  async delete(sessionId: string): Promise<void> {
    const held = await this.#take(sessionId);
    const removal = held.delete();
    // Until it is gone, whoever wants it waits; then there is none, or still this one where it could not be deleted.
    const left = removal.then(
      (): never => {
        throw notFound();
      },
      (thrown: unknown) => {
        if (held.deleted) throw thrown;
        return held;
      },
    );
    this.#keep(sessionId, left).catch(() => undefined);
    await removal;
    for (const other of halfDeleted(this)) await this.#finishRemoval(other);
  }

  /** Gives all of them back. Nothing may be asked of it from here on. */
  async close(why: GatewayError): Promise<void> {
    const closing = [...this.#held.values()].map(async (held) => (await held.catch(() => null))?.close(why));
    const outcomes = await Promise.allSettled(closing);
    this.index.close();
    for (const outcome of outcomes) if (outcome.status === "rejected") console.error("close:", outcome.reason);
  }

  /** Does nothing where another process is at it. */
  async #finishRemoval(sessionId: string): Promise<void> {
    await this.#take(sessionId).catch(() => undefined);
  }

  /** The session, without anything in it that goes on. */
  async #take(sessionId: string): Promise<LocalSession> {
    checkId(sessionId);
    return await (this.#held.get(sessionId) ?? this.#keep(sessionId, LocalSession.open(this.#options, sessionId)));
  }

  #keep(sessionId: string, coming: Promise<LocalSession>): Promise<LocalSession> {
    this.#held.set(sessionId, coming);
    coming.catch(() => {
      if (this.#held.get(sessionId) === coming) this.#held.delete(sessionId);
    });
    return coming;
  }
}

/** An id that no session can have gets the answer for a session that does not exist. */
function checkId(sessionId: string): void {
  if (!sessionIdShape.safeParse(sessionId).success) throw notFound();
}
