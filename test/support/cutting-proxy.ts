import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy on a free port that breaks connections, or goes silent, on command. */
export class CuttingProxy implements AsyncDisposable {
  /** How many bytes of each coming connection get through from the server before it is cut. */
  readonly budgets: number[] = [];
  connections = 0;
  readonly #open = new Set<Socket>();
  readonly #server;
  /** Any, at first. */
  #port = 0;

  private constructor(target: URL) {
    this.#server = createServer((client) => {
      this.connections++;
      const budget = this.budgets.shift() ?? Number.POSITIVE_INFINITY;
      const server = connect(Number(target.port), target.hostname);
      this.#join(client, server);
      client.on("data", (bytes) => server.write(bytes));
      let passed = 0;
      server.on("data", (bytes) => {
        if (passed >= budget) return;
        client.write(bytes.subarray(0, budget - passed));
        passed += bytes.length;
        if (passed >= budget) client.destroySoon();
      });
    });
  }

  static async before(url: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(new URL(url));
    await proxy.comeBack();
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** Breaks every connection and takes none, until it comes back. */
  async leave(): Promise<void> {
    this.#port = Number(new URL(this.url).port);
    this.#server.close();
    this.cut();
    await once(this.#server, "close");
  }

  /** Listens again where it did before. */
  async comeBack(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Lets nothing through what is open now, without closing it. Connections that come later are whole. */
  silence(): void {
    for (const socket of this.#open) socket.removeAllListeners("data").resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    await this.leave();
  }

  #join(...pair: Socket[]): void {
    for (const socket of pair) {
      this.#open.add(socket);
      // A cut connection reports an error; the end of both is all that matters.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#open.delete(socket);
        for (const other of pair) other.destroy();
      });
    }
  }
}
