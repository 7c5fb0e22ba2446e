import { ExternalGateway } from "../../src/client/external-gateway.ts";
import { ADMIN_TOKEN, ask, ORIGIN } from "./http-scene.ts";

/** The client library before the gateway's front, inside this process; `opened` counts its sockets. */
export function createLibraryClient() {
  const sockets: Promise<WebSocket>[] = [];
  class FrontSocket {
    readonly #opened: Promise<WebSocket>;

    constructor(url: string, { headers }: { headers: Record<string, string> }) {
      const { pathname, search } = new URL(url);
      const asked = ask("GET", `${pathname}${search}`, { token: null, headers: { ...headers, upgrade: "websocket" } });
      this.#opened = asked.then(({ webSocket }) => {
        if (webSocket === null) throw new Error("There is no socket.");
        return webSocket;
      });
      sockets.push(this.#opened);
      // Whoever constructed it has added its listeners by then.
      void this.#opened.then((socket) => socket.accept());
    }

    send(data: string): void {
      void this.#opened.then((socket) => socket.send(data));
    }

    close(): void {
      void this.#opened.then((socket) => socket.close());
    }

    addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
    addEventListener(type: "open" | "error", listener: () => void): void;
    addEventListener(type: "close", listener: (event: { code: number }) => void): void;
    addEventListener(type: string, listener: (event: { data: unknown; code: number }) => void): void {
      void this.#opened.then((socket) => {
        if (type === "open") listener({ data: null, code: 0 });
        if (type === "message") socket.addEventListener(type, ({ data }) => listener({ data, code: 0 }));
        if (type === "close") socket.addEventListener(type, ({ code }) => listener({ data: null, code }));
      });
    }
  }
  const gateway = new ExternalGateway({ baseUrl: ORIGIN, token: ADMIN_TOKEN, WebSocket: FrontSocket });
  return {
    gateway,
    get opened(): number {
      return sockets.length;
    },
  };
}
