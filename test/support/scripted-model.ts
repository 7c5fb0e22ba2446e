/** The test's end of the scripted server of the Messages API: `fetch` alone, so that it works inside workerd too. */
import * as z from "zod";
import type { Script } from "./messages-script.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The address of the scripted server that runs beside the tests. */
    messagesServerUrl: string;
  }
}

const receivedRequests = z.array(
  z.object({
    headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
    body: z.looseObject({
      model: z.string(),
      messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })),
    }),
  }),
);
export type ReceivedRequest = z.infer<typeof receivedRequests>[number];

const closed = z.object({ by: z.enum(["server", "client"]) });
const closedYet = z.object({ by: closed.shape.by.nullable() });

export type ScriptedModel = {
  /** The requests so far, in their order; waits until there are at least `count`. */
  requests(count?: number): Promise<ReceivedRequest[]>;
  /** Lets the replies go on that hold for this name, now or later. */
  release(name: string): Promise<void>;
  /** Waits until the connection of request `number` (from 0) has ended, and says who ended it. */
  closed(number: number): Promise<"server" | "client">;
  /** Who has ended the connection of request `number` by now; null while it is open. */
  closedYet(number: number): Promise<"server" | "client" | null>;
};

/** Registers a script under a key: the name of a model, or an API key. */
export async function scriptModel(url: string, key: string, script: Script): Promise<ScriptedModel> {
  const at = (action: string, rest = "") => `${url}/_${action}/${encodeURIComponent(key)}${rest}`;
  await call(at("script"), { method: "POST", body: JSON.stringify(script) });
  return {
    requests: async (count = 0) => receivedRequests.parse(await call(at("requests", `?count=${count}`))),
    release: async (name) => {
      await call(at("release", `/${encodeURIComponent(name)}`), { method: "POST" });
    },
    closed: async (number) => closed.parse(await call(at("closed", `/${number}`))).by,
    closedYet: async (number) => {
      // What was sent to the server before, such as the end of a connection, has been read when this is answered.
      await call(at("requests"));
      return closedYet.parse(await call(at("closed", `/${number}?now`))).by;
    },
  };
}

async function call(url: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(url, init);
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`The scripted server answered ${response.status}: ${JSON.stringify(body)}`);
  return body;
}
