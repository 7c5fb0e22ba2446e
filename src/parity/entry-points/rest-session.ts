import { HttpClient, readBytes, readError } from "../../client/http.ts";
import type { Fetch } from "../../client/options.ts";
import type { Event } from "../../protocol/events.ts";
import { answeredInput, takenToolResult } from "../../protocol/inputs.ts";
import { API_BASE, filePath } from "../../protocol/paths.ts";
import { cancelled, eventPage, fileInfo, filePage, type Session, session } from "../../protocol/rest.ts";
import type { Asked, OpenOptions } from "./entry-point.ts";

/** Where a gateway is, and whom it is told is asking. */
export type Address = { baseUrl: string; token: string };

/** So short a page that a log of a few events has several. */
const PAGE = 7;

/** One session over plain HTTP: what every entry point of the wire needs beside its own way to run a turn. */
export class RestSession {
  readonly http: HttpClient;
  readonly id: string;
  readonly #signal: AbortSignal;

  private constructor(http: HttpClient, id: string, signal: AbortSignal) {
    this.http = http;
    this.id = id;
    this.#signal = signal;
  }

  /**
   * A new session, and what begins with it; where that cannot begin, the session is removed. `agent` says in the requests
   * which entry point they come from.
   */
  static async open<T>(
    { baseUrl, token }: Address,
    agent: string,
    { model, signal, scene }: OpenOptions,
    begin: (session: RestSession) => T | Promise<T>,
  ): Promise<T> {
    const asAgent: Fetch = (url, init) => {
      const headers = new Headers(init.headers);
      headers.set("user-agent", agent);
      return fetch(url, { ...init, headers });
    };
    const http = new HttpClient(baseUrl, token, asAgent);
    // Without the signal: of a session whose making is broken off nobody knows the id.
    const made = await http.call(session, { method: "POST", path: "/sessions", body: { model, ...scene.session } });
    const opened = new RestSession(http, made.session_id, signal);
    try {
      return await begin(opened);
    } catch (thrown) {
      await opened.delete();
      throw thrown;
    }
  }

  get path(): string {
    return `/sessions/${this.id}`;
  }

  async read(): Promise<Session> {
    return await this.http.call(session, { method: "GET", path: this.path, signal: this.#signal });
  }

  /** The events after a cursor, page by page. */
  async *events(after = "0"): AsyncGenerator<Event> {
    for (let cursor: string | null = after; cursor !== null; ) {
      const query: { after: string; limit: number } = { after: cursor, limit: PAGE };
      const page = await this.http.call(eventPage, {
        method: "GET",
        path: `${this.path}/events`,
        query,
        signal: this.#signal,
      });
      yield* page.events;
      cursor = page.next_cursor;
    }
  }

  async cancel(): Promise<void> {
    await this.http.call(cancelled, { method: "POST", path: `${this.path}/cancel`, signal: this.#signal });
  }

  async reply({ kind, id }: Asked, content: string): Promise<void> {
    const request = { method: "POST", signal: this.#signal } as const;
    if (kind === "input") {
      const path = `${this.path}/inputs/${id}`;
      await this.http.call(answeredInput, { ...request, path, body: { response: content } });
    } else {
      const path = `${this.path}/tool_results/${id}`;
      await this.http.call(takenToolResult, { ...request, path, body: { content } });
    }
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    await this.http.call(fileInfo, { method: "PUT", path: this.#file(path), body: bytes, signal: this.#signal });
  }

  async files(): Promise<Map<string, Uint8Array>> {
    const files = new Map<string, Uint8Array>();
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const query: { cursor: string | undefined } = { cursor };
      const page = await this.http.call(filePage, {
        method: "GET",
        path: `${this.path}/files`,
        query,
        signal: this.#signal,
      });
      for (const { path } of page.files) files.set(path, await this.#readFile(path));
      cursor = page.next_cursor;
    }
    return files;
  }

  async delete(): Promise<void> {
    // The play's time may be up, and the session is to go all the same.
    const response = await this.http.send({ method: "DELETE", path: this.path, signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw await readError(response);
    await response.body?.cancel();
  }

  /** The answer to a request for a stream of events, and its body. */
  async stream(request: { method: "GET" | "POST"; path: string; body?: unknown }, signal = this.#signal) {
    const headers = { accept: "text/event-stream" };
    const response = await this.http.send({ ...request, headers, signal });
    if (!response.ok) throw await readError(response);
    if (response.body === null) throw new Error("the stream has no body");
    return { response, body: response.body };
  }

  async #readFile(path: string): Promise<Uint8Array> {
    const headers = { accept: "*/*" };
    const response = await this.http.send({ method: "GET", path: this.#file(path), headers, signal: this.#signal });
    if (!response.ok) throw await readError(response);
    return await readBytes(response);
  }

  #file(path: string): string {
    return filePath(this.id, path).slice(API_BASE.length);
  }
}
