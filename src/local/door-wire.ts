/** What goes over a door: lines of JSON, one request from who comes, then what it asked for. */
import * as z from "zod";
import { errorCode, GatewayError, invalidRequest } from "../protocol/errors.ts";
import { event } from "../protocol/events.ts";
import { answeredInput, inputResponseBody, takenToolResult, toolResultBody } from "../protocol/inputs.ts";
import { parseJson } from "../protocol/json.ts";
import { cancelled } from "../protocol/rest.ts";

const doorRequest = z.discriminatedUnion("type", [
  /** Everything after a cursor, then live. */
  z.strictObject({ type: z.literal("follow"), after: z.string() }),
  /** The running turn is to stop. */
  z.strictObject({ type: z.literal("cancel") }),
  /** What people were asked is answered. */
  z.strictObject({ type: z.literal("answer"), data: inputResponseBody.extend({ input_id: z.string() }) }),
  /** The result of a client's tool. */
  z.strictObject({ type: z.literal("give"), data: toolResultBody.extend({ tool_use_id: z.string() }) }),
]);
export type DoorRequest = z.infer<typeof doorRequest>;

const doorAnswer = z.discriminatedUnion("type", [
  ...event.options,
  z.strictObject({ type: z.literal("cancelled"), data: cancelled }),
  z.strictObject({ type: z.literal("answered"), data: answeredInput }),
  z.strictObject({ type: z.literal("taken"), data: takenToolResult }),
  z.strictObject({ type: z.literal("error"), data: z.strictObject({ code: errorCode, message: z.string() }) }),
]);
export type DoorAnswer = z.infer<typeof doorAnswer>;

/** @throws GatewayError for whatever is no request */
export function parseRequest(line: string): DoorRequest {
  const request = doorRequest.safeParse(parseJson(line));
  if (request.success) return request.data;
  throw invalidRequest(request.error);
}

/** @throws GatewayError `internal` for whatever is no answer */
export function parseAnswer(line: string): DoorAnswer {
  const answer = doorAnswer.safeParse(readJson(line));
  if (answer.success) return answer.data;
  throw new GatewayError("internal", "The process that holds the session sent what this one does not understand.");
}

function readJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const NEWLINE = 0x0a;

/** Cuts a stream of bytes into its lines, however the stream itself was cut. */
export class LineReader {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The lines that end in these bytes, without their newlines.
   *
   * @throws GatewayError `too_large` for a line that is too long, ended or not, `invalid_request` for one that is not UTF-8
   */
  *take(chunk: Uint8Array): Generator<string> {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, end));
      from = end + 1;
      yield this.#line();
    }
    this.#keep(chunk.subarray(from));
  }

  #keep(piece: Uint8Array): void {
    if (piece.byteLength === 0) return;
    this.#bytes += piece.byteLength;
    if (this.#bytes > this.#maxBytes) {
      throw new GatewayError("too_large", `A line may have at most ${this.#maxBytes} bytes.`);
    }
    this.#pieces.push(piece);
  }

  #line(): string {
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#bytes = 0;
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new GatewayError("invalid_request", "The line is not UTF-8.");
    }
  }
}
