/** What the document says of the API beside what follows from routes and schemas. */
import type { Operation } from "../routes/answers.ts";

export const TAGS: Readonly<Record<Operation["tag"], string>> = {
  Gateway: "The gateway itself.",
  Sessions: "A session has a log, a queue of turns and a workspace of its own.",
  Turns: "A turn is a message and what comes of it.",
  Inputs: "What turns ask of people and of clients, and the answers.",
  Events: "The log of a session: as pages, as server-sent events, as a WebSocket.",
  Files: "The workspace of a session.",
  Usage: "What turns have used.",
  Tokens: "Who may use the gateway. For admins.",
  "Answer pages": "Pages on which whoever opens a link can answer once, without a token.",
};

export const TEXT = {
  summary: "An agent gateway for your own Cloudflare account.",
  description: `Send a message to a session and follow its turn: by waiting for the result, as server-sent events, or over a WebSocket. All three show the same log.

**Errors** are \`application/problem+json\`; decide on \`code\`. Unknown fields, unknown query parameters and wrong types are \`invalid_request\`: nothing is accepted and ignored. An unknown path is \`not_found\`, a known one with another method \`method_not_allowed\` (405), with \`Allow\`.

**Cursors** are opaque. Those of the log are positions from which it can be read or followed; those of lists are where the next page begins.

**Answers** say \`X-Content-Type-Options: nosniff\`, \`Referrer-Policy: no-referrer\` and, but for files, \`Cache-Control: no-store\`.`,
  securitySchemes: {
    bearer: {
      type: "http",
      scheme: "bearer",
      description: "A token. The scopes that an operation names are those that its token needs.",
    },
    ticket: {
      type: "apiKey",
      in: "query",
      name: "ticket",
      description: "A ticket of `createTicket`, which opens one stream once.",
    },
  },
} as const;

/** Of named schemas. */
export const SCHEMAS: Readonly<Record<string, string>> = {
  Event: "One event of the log, as it stands on every surface.",
  StatusData: "What happened to a turn or a session; `status` says what.",
  ClientFrame: "What a client may send on the WebSocket. Its `id` is echoed in the answers.",
  ServerFrame: "What the gateway sends on the WebSocket: events, and what belongs to this socket alone.",
  ControlFrame: "What the gateway sends on the WebSocket beside events.",
  ConnectedFrame: "The first frame. This socket's events follow after `cursor`.",
  AckFrame: "Says what the client has taken. It has no answer; clients that never send one are cut off sooner.",
  QueryCompleteFrame: "The result of a turn, only to the socket whose `execute` started it.",
  TextEvent:
    "Characters of a block of text, from `offset` on. `done` says that they have ended, `discarded` that the step was dropped.",
  ThinkingEvent: "As TEXT, of what the model thinks.",
  IterationEndEvent: "The turn's end: exactly one of each turn.",
  AuthRequiredEvent: "A turn asks a person.",
  WorkProductEvent: "A file was written under work_products/.",
  TurnResult: "What a turn came to.",
  PendingInput: "What a turn waits for: an answer, or the result of a client's tool.",
  Budget: "The most that a session or a turn may use.",
  Permissions: "Decisions by the name of a tool, or by a pattern in which * stands for any characters.",
  ClientTool: "A tool that a client of the session runs. `input_schema` is JSON Schema, as the model is shown it.",
  Problem: "An error (RFC 9457).",
  Json: "Any JSON value.",
  Time: "UTC, with milliseconds.",
};

/** Of fields, by the name of their schema; `*`: wherever a field of this name stands. */
export const FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "*": {
    next_cursor: "Where the next page begins; null at the end.",
    trace_id: "32 hex digits, which follow from the turn's id.",
  },
  Session: {
    active_turn: "The turn that runs or waits for somebody.",
    queued_turns: "The turns that wait for their start, in the order in which they will start.",
    last_seq: "The number of the log's last event.",
  },
  CreateSessionBody: {
    user_id: "Whose session it is. Another than one's own is for admins.",
    workspace_dir: "sessions/<session_id> of a session of the same user, whose files the new one starts with.",
    fast_model: "The model of turns that look simple.",
    loosen_permissions: "The session's permissions count for more than the gateway's. For admins.",
    input_timeout_seconds: "How long people have to answer.",
    input_default: "What becomes of a call that nobody decides on.",
    metadata: "Free-form data, at most 16,384 bytes as JSON.",
    max_iterations: "How many model calls a turn may make.",
  },
  SubmitTurnBody: {
    on_busy:
      "What becomes of the message while a turn runs: enqueue (the default), reject, interrupt (cancel, then run), or steer (join that turn).",
    budget: "The most that this turn may use, within what the session may.",
    max_iterations: "How many model calls this turn may make.",
  },
  AcceptedTurn: {
    cursor: "The position before the turn's first event.",
    steered: "The message joins this turn, which ran before.",
  },
  TurnResult: {
    tool_calls: "How many tool calls the turn made.",
    work_products: "Paths under work_products/, in the order in which they were first written.",
    cursor: "The position after the turn's last event; while it runs, the log's end.",
  },
  EventPage: { cursor: "The position after this page: follow the log live from here." },
  CancelBody: { turn_id: "Cancel this turn and no other." },
  Cancelled: { turn_id: "The turn that was stopped; null if none ran." },
  Input: {
    options: "Answers that the model offers to a question.",
    default: "What an approval comes to if nobody answers; null for a question.",
    status: "settled: it was answered, its time is up, or its turn has ended.",
    response: "Null while it is pending, and where nobody answered.",
  },
  InputResponseBody: { response: "`allow` or `deny` to an approval, any text to a question." },
  LinkBody: { expires_in_seconds: "At most until the input's own deadline, which is the default." },
  UsageSums: {
    cost_usd: "Of the calls that had a price; null where none had.",
    unpriced_calls: "Calls not in cost_usd.",
  },
  CreateTokenBody: {
    name: "For people, to tell it from others.",
    expires_at: "Absent or null: it holds until it is revoked.",
  },
  CreatedToken: { token: "The token, shown here and nowhere else." },
  TicketBody: { scopes: "What the ticket's holder may do: by default all that who asks for it may." },
  Budget: {
    tokens: "Input, output and cached tokens together.",
    seconds: "How long turns run; time in which a turn waits for someone does not count.",
    cost_usd: "In US dollars, by the prices that the gateway was given.",
  },
};
