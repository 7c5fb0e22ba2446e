import { BaseAnthropic } from "@anthropic-ai/sdk/client";
import { Stream } from "@anthropic-ai/sdk/core/streaming";
import { Messages } from "@anthropic-ai/sdk/resources/messages/messages";
import { ModelError, type ModelRequest } from "../engine/ports.ts";
import { toRequestError, toStreamError } from "./anthropic-errors.ts";
import { toMessagesRequest } from "./anthropic-request.ts";

export type AnthropicOptions = { apiKey: string | undefined; baseUrl: string | undefined };

/** The engine has deadlines of its own and aborts; the SDK's must never come first. */
const SDK_TIMEOUT_MS = 24 * 3_600_000;

/** Of the SDK what is called here; its own class brings every resource, and is three times as large. */
class Client extends BaseAnthropic {
  readonly messages = new Messages(this);
}

/**
 * Calls the Messages API once and yields its events. This file is what loads the SDK.
 *
 * @param onClearingRefused called where the server does not take the request for what it is to clear by itself; the
 *   request is then made once more without it
 */
export async function* streamMessages(
  options: AnthropicOptions,
  request: ModelRequest,
  signal: AbortSignal,
  onClearingRefused: () => void,
): AsyncGenerator<unknown, void, undefined> {
  const { apiKey } = options;
  let response: Response;
  try {
    response = await send(options, request, signal);
  } catch (thrown) {
    if (!(request.clearing !== undefined && thrown instanceof ModelError && refusesClearing(thrown))) throw thrown;
    onClearingRefused();
    const { clearing: _, ...without } = request;
    response = await send(options, without, signal);
  }
  // Events as they come, where the SDK's iterator would swallow pings, which show that the server is alive.
  const events = Stream.rawEvents(response)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await readNext(events, signal);
      if (next.done === true) return;
      if (next.value.data === "") continue;
      const event = parseEvent(next.value.data);
      if (next.value.event === "error" || typeOf(event) === "error") throw toStreamError(event, apiKey);
      yield event;
    }
  } finally {
    await events.return?.();
  }
}

/** @throws ModelError */
async function send(
  { apiKey, baseUrl }: AnthropicOptions,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<Response> {
  const { params, headers } = toMessagesRequest(request);
  try {
    const client = new Client({
      // An empty key keeps the SDK from looking for credentials in the environment and in files.
      apiKey: apiKey ?? "",
      ...(apiKey === undefined ? { defaultHeaders: { authorization: null } } : {}),
      baseURL: baseUrl ?? "https://api.anthropic.com",
      maxRetries: 0,
      timeout: SDK_TIMEOUT_MS,
      // It would log what the engine shows, and at its finer levels whole bodies.
      logLevel: "off",
      // The same goes for its spans, which the environment may fill with what was said. The gateway has its own.
      openTelemetry: false,
    });
    // A signal of its own: the SDK leaves its listener on the one that it is handed.
    return await client.messages.create(params, { headers, signal: AbortSignal.any([signal]) }).asResponse();
  } catch (thrown) {
    signal.throwIfAborted();
    throw toRequestError(thrown, apiKey);
  }
}

/** The API has no error type of its own for a beta that a model or an organisation does not have. */
function refusesClearing({ status, message }: ModelError): boolean {
  return status === 400 && /context.management|clear_tool_uses/i.test(message);
}

async function readNext<T>(events: AsyncIterator<T>, signal: AbortSignal): Promise<IteratorResult<T>> {
  try {
    return await events.next();
  } catch {
    signal.throwIfAborted();
    throw new ModelError("network", "The connection to the model broke.");
  }
}

function parseEvent(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new ModelError("malformed", "The model's stream held something that is not JSON.");
  }
}

function typeOf(event: unknown): unknown {
  return typeof event === "object" && event !== null && "type" in event ? event.type : undefined;
}
