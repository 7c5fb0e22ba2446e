import type { Gateway } from "../../src/client/gateway.ts";
import type { Event } from "../../src/protocol/events.ts";

/** A gateway as another one is, but that its events are changed on their way, or left out (null). */
export function alteredGateway(gateway: Gateway, alter: (event: Event) => Event | null): Gateway {
  async function* altered(events: AsyncIterable<Event>): AsyncGenerator<Event> {
    for await (const event of events) {
      const instead = alter(event);
      if (instead !== null) yield instead;
    }
  }
  return {
    createSession: (...args) => gateway.createSession(...args),
    resumeSession: (...args) => gateway.resumeSession(...args),
    execute: (...args) => altered(gateway.execute(...args)),
    runQuery: (...args) => gateway.runQuery(...args),
    input: (...args) => gateway.input(...args),
    answer: (...args) => gateway.answer(...args),
    giveToolResult: (...args) => gateway.giveToolResult(...args),
    mintLink: (...args) => gateway.mintLink(...args),
    createTicket: (...args) => gateway.createTicket(...args),
    cancelTurn: (...args) => gateway.cancelTurn(...args),
    cancel: (...args) => gateway.cancel(...args),
    events: (...args) => altered(gateway.events(...args)),
    deleteSession: (...args) => gateway.deleteSession(...args),
    listFiles: (...args) => gateway.listFiles(...args),
    readFile: (...args) => gateway.readFile(...args),
    writeFile: (...args) => gateway.writeFile(...args),
    listSessions: (...args) => gateway.listSessions(...args),
    usage: (...args) => gateway.usage(...args),
    health: (...args) => gateway.health(...args),
    close: () => gateway.close(),
  };
}
