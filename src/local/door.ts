import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { GatewayError, toGatewayError } from "../protocol/errors.ts";
import type { Event } from "../protocol/events.ts";
import { DOOR_REQUEST_MAX_BYTES, DOOR_REQUEST_TIMEOUT_MS, NEVER_ACKED_MAX_BYTES } from "../protocol/limits.ts";
import type { Cancelled } from "../protocol/rest.ts";
import { type DoorAnswer, type DoorRequest, LineReader, parseAnswer, parseRequest } from "./door-wire.ts";
import { hasCode } from "./error-codes.ts";
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
};

export type DoorOptions = {
  /** How long a visitor may take to say what it wants. */
  requestTimeoutMs?: number;
};

/** What a socket's path may have in UTF-8, without the NUL that ends it: Linux has 108 bytes for it, the others 104. */
const PATH_MAX_BYTES = process.platform === "linux" ? 107 : 103;
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
  const address = addressOf(path);
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

/**
 * The events of a session that another process holds, after a cursor, then live. Ends when the connection does: the
 * holder has gone, or this reader was too far behind. Whoever wants more asks who holds the session now.
 *
 * @throws GatewayError for a refusal, such as `bad_cursor`; the signal's reason
 */
export async function* followDoor(path: string, after: string, signal?: AbortSignal): AsyncGenerator<Event> {
  for await (const answer of visit(path, { type: "follow", after }, signal)) {
    if (answer.type !== "cancelled") yield answer;
  }
}

/**
 * Has the holder of a session cancel its running turn; resolves once that has stopped. Null if nobody answers: the
 * holder has gone.
 *
 * @throws GatewayError for a refusal; the signal's reason
 */
export async function cancelThroughDoor(path: string, signal?: AbortSignal): Promise<Cancelled | null> {
  for await (const answer of visit(path, { type: "cancel" }, signal)) {
    if (answer.type === "cancelled") return answer.data;
  }
  return null;
}

/** How a connection ends that has no holder at its other end, or no more. */
const GONE = ["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"];

type Granted = Exclude<DoorAnswer, { type: "error" }>;

/** Asks one thing, and yields what is answered until the connection ends. @throws GatewayError for a refusal */
async function* visit(path: string, request: DoorRequest, signal?: AbortSignal): AsyncGenerator<Granted> {
  signal?.throwIfAborted();
  const lines = new LineReader(NEVER_ACKED_MAX_BYTES);
  const socket = createConnection(addressOf(path));
  const hangUp = () => socket.destroy();
  signal?.addEventListener("abort", hangUp);
  try {
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const chunk of chunksOf(socket)) {
      for (const line of lines.take(chunk)) {
        signal?.throwIfAborted();
        const answer = parseAnswer(line);
        if (answer.type === "error") throw new GatewayError(answer.data.code, answer.data.message);
        yield answer;
      }
    }
    signal?.throwIfAborted();
  } catch (thrown) {
    // Hanging up breaks the connection too, in ways that depend on how far it had come.
    signal?.throwIfAborted();
    throw thrown;
  } finally {
    signal?.removeEventListener("abort", hangUp);
    socket.destroy();
  }
}

/** What comes from a holder until it goes. @throws GatewayError `unavailable` where it may not be asked */
async function* chunksOf(socket: Socket): AsyncGenerator<Buffer> {
  try {
    yield* socket;
  } catch (thrown) {
    if (hasCode(thrown, ...GONE)) return;
    const why = thrown instanceof Error && "code" in thrown ? ` (${thrown.code})` : "";
    throw new GatewayError("unavailable", `The process that holds the session cannot be reached${why}.`);
  }
}

/**
 * What the system calls the socket at a path. Windows has named pipes, of one space for all.
 *
 * @throws GatewayError `invalid_request`
 */
function addressOf(path: string): string {
  if (process.platform === "win32") {
    return `\\\\.\\pipe\\turnpike-${createHash("sha256").update(path).digest("hex")}`;
  }
  const bytes = Buffer.byteLength(path);
  if (bytes <= PATH_MAX_BYTES) return path;
  throw new GatewayError(
    "invalid_request",
    `The path of a session's socket may have ${PATH_MAX_BYTES} bytes on this system, and ${path} has ${bytes}: ` +
      "set TURNPIKE_HOME to a shorter one.",
  );
}
