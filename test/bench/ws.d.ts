/** What the measurements use of `ws`: it hands frames on as the bytes that they are. */
declare module "ws" {
  import { EventEmitter } from "node:events";

  export default class WebSocket extends EventEmitter {
    constructor(url: string, options: { headers?: Record<string, string>; perMessageDeflate: false });
    send(text: string): void;
    /** Ends the connection without a word. */
    terminate(): void;
  }
}
