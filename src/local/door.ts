import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { GatewayError, toGatewayError } from "../protocol/errors.ts";
import type { AnsweredInput, TakenToolResult, ToolResultBody } from "../protocol/inputs.ts";
import { DOOR_REQUEST_MAX_BYTES, DOOR_REQUEST_TIMEOUT_MS, NEVER_ACKED_MAX_BYTES } from "../protocol/limits.ts";
import type { Cancelled } from "../protocol/rest.ts";
import { doorAddress } from "./door-address.ts";
import { type DoorAnswer, type DoorRequest, LineReader, parseRequest } from "./door-wire.ts";
import { makeFolder } from "./home.ts";

/** The part of a held session that other processes may use. */
export type DoorSession = {
  /**
   * Sends everything after a cursor before it returns, then what comes; what it returns ends that. `send` never throws,
   * and returns false once nobody listens any more.
   *
   * @throws GatewayError `bad_cursor`
   */
  follow(after: string, send: (json: string) => boolean): () => void;
  /** Cancels the running turn; resolves once it has stopped. */
  cancel(): Promise<Cancelled>;
  /** Settles what people were asked. @throws GatewayError */
  answer(inputId: string, response: string): AnsweredInput;
  /** Takes the result of a client's tool. @throws GatewayError */
  takeResult(toolUseId: string, result: ToolResultBody): TakenToolResult;
};

export type DoorOptions = {
  /** How long a visitor may take to say what it wants. */
  requestTimeoutMs?: number;
};

/** A visitor that is sent away and does not read what was sent to it is cut off after this. */
const LAST_WORDS_MS = 30_000;
/** The same when the door closes, which the end of the program waits for. */
const CLOSING_MS = 1_000;

/**
 * Lets other processes of the same user follow a session that this process holds: the caller has its claim, and keeps
 * it until the door is disposed of. Visitors then still get what was sent to them. The door does not keep its process
 * alive.
 *
 * @throws GatewayError `invalid_request` for a path that is too long for this system
 */
export async function openDoor(
  path: string,
  session: DoorSession,
  { requestTimeoutMs = DOOR_REQUEST_TIMEOUT_MS }: DoorOptions = {},
): Promise<AsyncDisposable> {
  const address = doorAddress(path);
  makeFolder(dirname(path));
  // Left there by a process that was killed: nobody else opens doors to a session that this one holds.
  rmSync(path, { force: true });
  const visits = new Set<Visit>();
  const server = createServer((socket) => {
    const visit = new Visit(socket, session, requestTimeoutMs);
    visits.add(visit);
    socket.once("close", () => visits.delete(visit));
  });
  server.unref();
  server.listen(address);
  await once(server, "listening");
  // A visitor that could not be let in comes back.
  server.on("error", (thrown) => console.error("door:", thrown));
  if (address === path) chmodSync(path, 0o600);
  let closed: Promise<void> | null = null;
  return {
    [Symbol.asyncDispose]: () => {
      closed ??= closeDoor(server, visits);
      return closed;
    },
  };
}

/** The server removes the socket's file itself. */
async function closeDoor(server: Server, visits: ReadonlySet<Visit>): Promise<void> {
  const closed = once(server, "close");
  server.close();
  for (const visit of visits) visit.seeOff();
  await closed;
}

/** One visitor: says one thing that it wants, and is sent what it asked for. */
class Visit {
  readonly #socket: Socket;
  readonly #session: DoorSession;
  readonly #lines = new LineReader(DOOR_REQUEST_MAX_BYTES);
  readonly #deadline: ReturnType<typeof setTimeout>;
  #unfollow: (() => void) | null = null;
  #asked = false;
  #left = false;

  constructor(socket: Socket, session: DoorSession, requestTimeoutMs: number) {
    this.#socket = socket;
    this.#session = session;
    socket.unref();
    this.#deadline = setTimeout(() => {
      this.#refuse(new GatewayError("invalid_request", `No request came within ${requestTimeoutMs} ms.`));
    }, requestTimeoutMs).unref();
    socket.on("data", (chunk) => this.#hear(chunk));
    // What broke is over; its close follows.
    socket.on("error", () => undefined);
    socket.once("close", () => this.#leave());
  }

  /** The door closes: what was sent still goes out, to whoever reads it at once. */
  seeOff(): void {
    this.#socket.ref();
    this.#end(CLOSING_MS);
  }

  #hear(chunk: Buffer): void {
    if (this.#left) return;
    try {
      for (const line of this.#lines.take(chunk)) {
        if (this.#asked) throw new GatewayError("invalid_request", "Each request needs a connection of its own.");
        this.#asked = true;
        clearTimeout(this.#deadline);
        this.#answer(parseRequest(line));
      }
    } catch (thrown) {
      this.#refuse(thrown);
    }
  }

  #answer(request: DoorRequest): void {
    switch (request.type) {
      case "follow": {
        const unfollow = this.#session.follow(request.after, (json) => this.#send(json));
        // It may have been cut off in the past already.
        if (this.#left) unfollow();
        else this.#unfollow = unfollow;
        return;
      }
      case "cancel":
        this.#session.cancel().then(
          (data) => this.#sendLast({ type: "cancelled", data }),
          (thrown) => this.#refuse(thrown),
        );
        return;
      case "answer": {
        const { input_id, response } = request.data;
        this.#sendLast({ type: "answered", data: this.#session.answer(input_id, response) });
        return;
      }
      case "give": {
        const { tool_use_id, ...result } = request.data;
        this.#sendLast({ type: "taken", data: this.#session.takeResult(tool_use_id, result) });
      }
    }
  }

  #refuse(thrown: unknown): void {
    const { code, message } = toGatewayError(thrown);
    if (code === "internal") console.error("door:", thrown);
    this.#sendLast({ type: "error", data: { code, message } });
  }

  #sendLast(answer: DoorAnswer): void {
    this.#send(JSON.stringify(answer));
    this.#end(LAST_WORDS_MS);
  }

  /** Returns false if the visitor has gone, or was sent away since it is too far behind. */
  #send(json: string): boolean {
    if (this.#left) return false;
    // As bytes, since that is what the limit counts.
    this.#socket.write(Buffer.from(`${json}\n`));
    if (this.#socket.writableLength > NEVER_ACKED_MAX_BYTES) this.#end(LAST_WORDS_MS);
    return !this.#left;
  }

  /** Ends the connection once everything that was sent is written. */
  #end(withinMs: number): void {
    this.#leave();
    this.#socket.destroySoon();
    const cutOff = setTimeout(() => this.#socket.destroy(), withinMs).unref();
    this.#socket.once("close", () => clearTimeout(cutOff));
  }

  #leave(): void {
    this.#left = true;
    clearTimeout(this.#deadline);
    this.#unfollow?.();
    this.#unfollow = null;
  }
}
