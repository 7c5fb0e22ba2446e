/** The one thing of `ws` that is used here. */
declare module "ws" {
  export const WebSocket: import("../client/options.ts").SocketConstructor;
}
