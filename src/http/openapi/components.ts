/** The schemas that the document gives a name: those that requests and answers are parsed by. */
import * as z from "zod";
import { budget } from "../../protocol/budget.ts";
import { clientTool } from "../../protocol/client-tools.ts";
import { errorCode, problem } from "../../protocol/errors.ts";
import { endStatus, event, statusData, time, usage } from "../../protocol/events.ts";
import { clientFrame, controlFrame, serverFrame } from "../../protocol/frames.ts";
import { inputId, sessionId, tokenId, turnId } from "../../protocol/ids.ts";
import {
  answeredInput,
  input,
  inputLink,
  inputResponseBody,
  linkBody,
  takenToolResult,
  toolResultBody,
} from "../../protocol/inputs.ts";
import { json } from "../../protocol/json.ts";
import { permissions } from "../../protocol/permissions.ts";
import { scope } from "../../protocol/principal.ts";
import * as rest from "../../protocol/rest.ts";
import * as tokens from "../../protocol/tokens.ts";
import { usageLine, usageReport, usageSums } from "../../protocol/usage.ts";
import { pascal } from "./problems.ts";

type Named = Readonly<Record<string, z.ZodType>>;

/** Where the document keeps a schema. */
export function schemaRef(name: string): string {
  return `#/components/schemas/${name}`;
}

/** The members of a union, each by the value that tells it from the others. */
function members(options: readonly z.ZodObject[], field: string, suffix: string): Named {
  return Object.fromEntries(options.map((one) => [`${pascal(tagOf(one, field))}${suffix}`, one]));
}

function tagOf(option: z.ZodObject, field: string): string {
  const literal = option.shape[field];
  if (!(literal instanceof z.ZodLiteral)) throw new Error(`A member of a union has no ${field}.`);
  return String(literal.value);
}

export const NAMED: Named = {
  Health: rest.health,
  Session: rest.session,
  SessionStatus: rest.sessionStatus,
  SessionPage: rest.sessionPage,
  CreateSessionBody: rest.createSessionBody,
  PatchSessionBody: rest.patchSessionBody,
  PendingInput: rest.pendingInput,
  Turn: rest.turn,
  TurnStatus: rest.turnStatus,
  TurnPage: rest.turnPage,
  TurnResult: rest.turnResult,
  SubmitTurnBody: rest.submitTurnBody,
  AcceptedTurn: rest.acceptedTurn,
  OnBusy: rest.onBusy,
  CancelBody: rest.cancelBody,
  Cancelled: rest.cancelled,
  EndStatus: endStatus,
  Usage: usage,
  Input: input,
  InputResponseBody: inputResponseBody,
  AnsweredInput: answeredInput,
  LinkBody: linkBody,
  InputLink: inputLink,
  ToolResultBody: toolResultBody,
  TakenToolResult: takenToolResult,
  FileInfo: rest.fileInfo,
  FilePage: rest.filePage,
  UsageReport: usageReport,
  UsageLine: usageLine,
  UsageSums: usageSums,
  Scope: scope,
  CreateTokenBody: tokens.createTokenBody,
  CreatedToken: tokens.createdToken,
  TokenInfo: tokens.tokenInfo,
  TokenPage: tokens.tokenPage,
  TicketBody: tokens.ticketBody,
  Ticket: tokens.ticket,
  Budget: budget,
  Permissions: permissions,
  ClientTool: clientTool,
  Json: json,
  Time: time,
  SessionId: sessionId,
  TurnId: turnId,
  InputId: inputId,
  TokenId: tokenId,
  Problem: problem,
  ErrorCode: errorCode,
  Event: event,
  EventPage: rest.eventPage,
  ...members(event.options, "type", "Event"),
  StatusData: statusData,
  ...members(statusData.options, "status", "Status"),
  ClientFrame: clientFrame,
  ...members(clientFrame.options, "type", "Frame"),
  ServerFrame: serverFrame,
  ControlFrame: controlFrame,
  ...members(controlFrame.options, "type", "Frame"),
};

const names = new Map(Object.entries(NAMED).map(([name, schema]) => [schema, name]));

/** The name of a schema; undefined for one that has none. */
export function nameOf(schema: z.ZodType): string | undefined {
  return names.get(schema);
}

/** All of them as JSON Schema, which refer to each other by their names. */
export function namedSchemas(): Record<string, z.core.JSONSchema.BaseSchema> {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of names) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { io: "input", uri: schemaRef, override });
  return Object.fromEntries(Object.entries(schemas).map(([name, { $schema, $id, ...schema }]) => [name, schema]));
}

/** A schema without a name, with everything that it holds. */
export function inlineSchema(schema: z.ZodType): z.core.JSONSchema.BaseSchema {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: "input", override });
  return rest;
}

/** What zod leaves out and readers need, and what they may read otherwise. */
function override({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodType; jsonSchema: z.core.JSONSchema.BaseSchema }) {
  if (zodSchema instanceof z.ZodDiscriminatedUnion) {
    const propertyName = zodSchema.def.discriminator;
    const mapping = (jsonSchema.oneOf ?? []).flatMap(({ $ref }, at) => {
      const option = zodSchema.def.options[at];
      return $ref !== undefined && option instanceof z.ZodObject ? [[tagOf(option, propertyName), $ref]] : [];
    });
    jsonSchema["discriminator"] = { propertyName, mapping: Object.fromEntries(mapping) };
  }
  // What this class of characters means depends on a flag that a pattern cannot say.
  if (jsonSchema.pattern !== undefined) {
    jsonSchema.pattern = jsonSchema.pattern.replaceAll("\\p{Cc}", "\\u0000-\\u001f\\u007f-\\u009f");
  }
}
