import { type Event, eventType } from "../../src/protocol/events.ts";
import { type Input, type InputLink, input, inputLink } from "../../src/protocol/inputs.ts";
import { eventPage, type Session, session, type TurnResult, turnResult } from "../../src/protocol/rest.ts";
import { type Asked, ask, newSession } from "./http-scene.ts";

/** A new session, and its turn as it is when it waits. */
export async function newWaiting(settings: object, user_input: string, asked: Asked = {}) {
  const { session_id } = await newSession({ json: settings, ...asked });
  const result = await waitOn(session_id, user_input, asked);
  const inputIds = result.pending_inputs.flatMap((one) => ("input_id" in one ? [one.input_id] : []));
  const toolUseIds = result.pending_inputs.flatMap((one) => ("tool_use_id" in one ? [one.tool_use_id] : []));
  return { session_id, path: `sessions/${session_id}`, result, inputIds, toolUseIds, inputId: inputIds[0] ?? "" };
}

export async function waitOn(sessionId: string, user_input: string, asked: Asked = {}): Promise<TurnResult> {
  const response = await ask("POST", `sessions/${sessionId}/turns?wait=true`, { ...asked, json: { user_input } });
  return turnResult.parse(await response.json());
}

export async function answerInput(path: string, inputId: string, response: string, asked: Asked = {}) {
  return ask("POST", `${path}/inputs/${inputId}`, { json: { response }, ...asked });
}

export async function inputOf(path: string, inputId: string): Promise<Input> {
  return input.parse(await (await ask("GET", `${path}/inputs/${inputId}`)).json());
}

export async function sessionAt(path: string): Promise<Session> {
  return session.parse(await (await ask("GET", path)).json());
}

export async function newLink(path: string, inputId: string, asked: Asked = {}): Promise<InputLink> {
  return inputLink.parse(await (await ask("POST", `${path}/inputs/${inputId}/link`, asked)).json());
}

export async function eventsOf(path: string): Promise<Event[]> {
  return eventPage.parse(await (await ask("GET", `${path}/events?limit=1000`)).json()).events;
}

/** Types of events, and which STATUS. */
export function namesOf(events: Event[]): string[] {
  return events.map(({ type, data }) => (type === eventType.enum.STATUS ? data.status : type));
}
