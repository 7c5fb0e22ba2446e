/** What `turnpike/client` exports: this, and nothing else of the project, is for other programs. */

export type { ErrorCode, FieldError } from "../protocol/errors.ts";
export { GatewayError } from "../protocol/errors.ts";
export type { EndStatus, Event, EventData, EventOf, EventType, Metadata, Usage } from "../protocol/events.ts";
export type { AnsweredInput, Input, InputLink, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
export type { Json } from "../protocol/json.ts";
export type {
  Cancelled,
  CreateSessionBody,
  FileInfo,
  FilePage,
  Health,
  PendingInput,
  Session,
  SessionPage,
  SessionStatus,
  SubmitTurnBody,
  TurnResult,
  TurnStatus,
} from "../protocol/rest.ts";
export type { Ticket, TicketBody } from "../protocol/tokens.ts";
export type { UsageGroup, UsageLine, UsageReport, UsageSums } from "../protocol/usage.ts";
export { ExternalGateway } from "./external-gateway.ts";
export type {
  CallOptions,
  ExecuteMessage,
  FileQuery,
  Gateway,
  LinkOptions,
  RunTool,
  SessionQuery,
  UsageQuery,
} from "./gateway.ts";
export type {
  Credentials,
  ExternalGatewayOptions,
  Fetch,
  Socket,
  SocketConstructor,
  TicketSource,
} from "./options.ts";
