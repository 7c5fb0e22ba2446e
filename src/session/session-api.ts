/**
 * What the front of the gateway may ask of a session's object. Errors cross the RPC boundary as values, since a
 * thrown error loses its class and its fields on the way.
 */

import { logError } from "../logging/log.ts";
import { GatewayError, type Problem, toGatewayError, toProblem } from "../protocol/errors.ts";
import type { EventType } from "../protocol/events.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import type { AnsweredInput, Input, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import { MAX_ITERATIONS_DEFAULT } from "../protocol/limits.ts";
import { isAdmin, type Principal } from "../protocol/principal.ts";
import type {
  AcceptedTurn,
  Cancelled,
  CreateSessionBody,
  EventPage,
  FileInfo,
  FilePage,
  PatchSessionBody,
  Session,
  SubmitTurnBody,
  Turn,
  TurnPage,
} from "../protocol/rest.ts";
import { createToolRegistry } from "../tools/registry.ts";
import type { FileVersion } from "../workspace/file-table.ts";
import type { AnsweredVia } from "./answers.ts";
import { checkBudget, checkClientTools, loosenedFields } from "./check-settings.ts";
import type { Settings } from "./settings.ts";

// The front and the object, for frames, count alike.
export { countedBy, countRequest } from "./rate-limit.ts";

export type Answer<T> =
  | { ok: true; value: T }
  | { ok: false; problem: Problem; retryAfterSeconds?: number | undefined };

/** Everything that a session is created with. `workspace_from` is the session whose files it starts with. */
export type CreateSession = {
  session_id: string;
  user_id: string;
  model: string;
  fast_model: string | null;
  system: string | null;
  max_iterations: number;
  metadata: Session["metadata"];
  title: string | null;
  workspace_from: string | null;
} & AskedSettings;

/** What few sessions have: absent where nothing was said. */
type AskedSettings = Pick<
  Settings,
  "permissions" | "loosened" | "input_timeout_seconds" | "input_default" | "tools" | "budget"
>;

/**
 * What a request makes of a new session, but for where its files come from.
 *
 * @throws GatewayError `forbidden`, `invalid_request`
 */
export function sessionFields(
  asking: Principal,
  { defaultModel, gateway }: { defaultModel: string; gateway: GatewaySettings },
  body: CreateSessionBody,
): Omit<CreateSession, "session_id" | "workspace_from"> {
  const user_id = body.user_id ?? asking.user_id;
  if (user_id !== asking.user_id && !isAdmin(asking)) {
    throw new GatewayError("forbidden", "Only an admin may create a session for another user.");
  }
  const models = { model: body.model ?? defaultModel, fast_model: body.fast_model ?? null };
  checkClientTools(body);
  checkBudget({ ...models, budget: body.budget }, gateway);
  const { permissions, input_timeout_seconds, input_default, tools, budget } = body;
  const loosened = loosenedFields(asking, body, gateway, createToolRegistry(undefined, tools).ruled());
  return {
    user_id,
    ...models,
    permissions,
    loosened: Object.keys(loosened).length === 0 ? undefined : loosened,
    input_timeout_seconds,
    input_default,
    tools,
    budget,
    system: body.system ?? null,
    max_iterations: body.max_iterations ?? MAX_ITERATIONS_DEFAULT,
    metadata: body.metadata ?? {},
    title: body.title ?? null,
  };
}

/** One ticket, told from others, and when it expires (ms since the epoch). */
export type TicketUse = { ticket_id: string; expires_at: number };

/** An answer, and how it came. */
export type AnswerInput = { input_id: string; response: string; via: AnsweredVia };

/** `If-Match` and `If-None-Match` as lists of ETags (the sha256 in quotes) or `"*"`; null where the header is absent. */
export type Conditions = { ifMatch: "*" | string[] | null; ifNoneMatch: "*" | string[] | null };

export type PageRequest = { limit: number; cursor: string | null };

/** A file and where its bytes lie. The key names an immutable blob. */
export type StoredFile = { info: FileInfo; key: string };

/** A file that was uploaded under a stage and is to become visible. */
export type UploadedFile = {
  stage_id: string;
  path: string;
  size: number;
  sha256: string;
  content_type: string;
  conditions: Conditions;
};

/**
 * The methods of a session's object. Paths are raw: the object's guard resolves them. Each call names who is asking,
 * and an object that is not theirs answers as one that does not exist.
 */
export interface SessionApi {
  /** Creates the session, or returns it if this id was created before by the same user. */
  create(asking: Principal, settings: CreateSession): Promise<Answer<Session>>;
  describe(asking: Principal): Promise<Answer<Session>>;
  patch(asking: Principal, body: PatchSessionBody): Promise<Answer<Session>>;
  remove(asking: Principal): Promise<Answer<null>>;

  submit(asking: Principal, body: SubmitTurnBody, idempotencyKey: string | null): Promise<Answer<AcceptedTurn>>;
  /** Answers once the running turn has stopped; with `turnId` that one alone is stopped. */
  cancel(asking: Principal, turnId?: string): Promise<Answer<Cancelled>>;
  /** Something that people are asked. */
  input(asking: Principal, inputId: string): Promise<Answer<Input>>;
  /** Answers it; the same answer again changes nothing. */
  answer(asking: Principal, answered: AnswerInput): Promise<Answer<AnsweredInput>>;
  /** Takes the result of a client's tool; the same again changes nothing. */
  takeResult(asking: Principal, toolUseId: string, result: ToolResultBody): Promise<Answer<TakenToolResult>>;
  /** Newest first. */
  turns(asking: Principal, page: PageRequest): Promise<Answer<TurnPage>>;
  turn(asking: Principal, turnId: string): Promise<Answer<Turn>>;
  /** Takes a queued turn out; `session_busy` for one that runs, `not_found` for one that has ended. */
  withdraw(asking: Principal, turnId: string): Promise<Answer<null>>;

  /** With `as_text` the page as JSON, which the front hands on as it is. A Worker or an object of before knows none. */
  events(
    asking: Principal,
    page: { after: string; limit: number; types: EventType[] | null; as_text?: boolean },
  ): Promise<Answer<string | EventPage>>;

  files(asking: Principal, page: PageRequest & { prefix: string }): Promise<Answer<FilePage>>;
  file(asking: Principal, path: string): Promise<Answer<StoredFile>>;
  /** Checks path and conditions and stores the stage before a byte is uploaded to `key`. */
  stageFile(
    asking: Principal,
    file: { path: string; conditions: Conditions },
  ): Promise<Answer<{ stage_id: string; key: string }>>;
  commitFile(asking: Principal, file: UploadedFile): Promise<Answer<{ info: FileInfo; created: boolean }>>;
  /**
   * Gives up a stage and removes what was uploaded; what lands later is removed later. `not_found` for a stage that was
   * committed, or is gone.
   */
  dropStage(asking: Principal, stageId: string): Promise<Answer<null>>;
  removeFile(asking: Principal, file: { path: string; conditions: Conditions }): Promise<Answer<null>>;

  /** For the object of a session that is to start with this one's files. */
  space(asking: Principal): Promise<Answer<{ user_id: string; space_id: string }>>;
  /** The same, once it has joined the space. */
  exportFiles(asking: Principal): Promise<Answer<FileVersion[]>>;

  /** Lets a token do nothing more here, whatever a cache says of it, and closes the sockets that it opened. */
  revokeToken(tokenId: string): Promise<Answer<null>>;
  /** Uses a ticket up; `unauthenticated` for one that was used. */
  useTicket(asking: Principal, ticket: TicketUse): Promise<Answer<null>>;
}

/**
 * The request that opens a socket on a session's object. Only the gateway's own Worker can make it: the object is
 * reachable through its binding alone.
 */
export const STREAM_REQUEST = {
  /** The principal as JSON. */
  principalHeader: "turnpike-principal",
  /** Query: `after` (a cursor; absent: live only), `types` (event types, by comma; absent: all), `reader` (see below). */
  path: "https://session/stream",
  /** `reader=1`: the gateway reads for an SSE stream or a wait; no `connected` frame, and only `ack` is taken. */
  readerParam: "reader",
  /** `together=1`: a frame may hold several events, one a line. A Worker of before does not ask for it. */
  togetherParam: "together",
} as const;

/** Runs a method of the session and turns what it throws into a value. */
export async function answer<T>(run: () => T | Promise<T>): Promise<Answer<T>> {
  try {
    return { ok: true, value: await run() };
  } catch (thrown) {
    const error = toGatewayError(thrown);
    if (error.code === "internal") logError("session", thrown);
    return { ok: false, problem: toProblem(error), retryAfterSeconds: error.retryAfterSeconds };
  }
}
