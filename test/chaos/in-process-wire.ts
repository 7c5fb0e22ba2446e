import type { ErrorCode } from "../../src/protocol/errors.ts";
import type { Event } from "../../src/protocol/events.ts";
import type { CreateSessionBody, SubmitTurnBody } from "../../src/protocol/rest.ts";
import type { Reply } from "./host.ts";

/** What a process of the in-process host is asked, a line of JSON each. */
export type Command = { id: number } & Deed;

export type Deed =
  | { do: "create"; body: CreateSessionBody; key: string }
  | { do: "submit"; sessionId: string; body: SubmitTurnBody; key: string }
  | { do: "describe" | "cancel" | "delete" | "log" | "files"; sessionId: string }
  | { do: "cancelTurn"; sessionId: string; turnId: string }
  | { do: "reply"; sessionId: string; reply: Reply }
  /** Each event is told until the watch ends, which is answered as any other command. */
  | { do: "watch"; sessionId: string; after: string };

/** What it says: an event of the watch `id`, or the one answer to the command `id`. */
export type Told =
  | { id: number; event: Event }
  | { id: number; value: unknown }
  | { id: number; error: { code: ErrorCode; message: string } };

/** The session's metadata hold the key that it was made with, so that it is found where the answer was lost. */
export const KEY = "made_with";
