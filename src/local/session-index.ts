import type { SessionQuery } from "../client/gateway.ts";
import type { Session, SessionPage } from "../protocol/rest.ts";

/** The list of a machine's sessions, in one file that all of its processes share. */
export class SessionIndex implements Disposable {
  /** Opens the list that lies in the folder `home`; either is made where there is none. */
  static open(_home: string): SessionIndex {
    throw new Error("not built yet");
  }

  /** A version that is not above the stored one changes nothing, and neither does any write after `remove`. */
  put(_summary: Session, _version: number): void {
    throw new Error("not built yet");
  }

  /** Idempotent. */
  remove(_sessionId: string): void {
    throw new Error("not built yet");
  }

  get(_sessionId: string): Session | null {
    throw new Error("not built yet");
  }

  /** One page, newest activity first. @throws GatewayError `invalid_request`, `bad_cursor` */
  list(_query: SessionQuery): SessionPage {
    throw new Error("not built yet");
  }

  close(): void {
    throw new Error("not built yet");
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
