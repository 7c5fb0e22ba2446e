import * as z from "zod";
import type { AskedTool } from "../engine/ports.ts";
import type { ClientTool } from "../protocol/client-tools.ts";

const input = z.record(z.string(), z.json());

/** A tool that a client of the session runs, as the engine knows it. Whether an input fits is for the client to say. */
export function createClientTool({ name, description, input_schema, timeout_seconds }: ClientTool): AskedTool {
  return {
    name,
    description,
    input,
    asks: "client",
    inputSchema: input_schema,
    timeoutSeconds: timeout_seconds ?? null,
  };
}
