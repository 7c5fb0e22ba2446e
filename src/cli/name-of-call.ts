import type { Gateway } from "../client/gateway.ts";

/** The name of the tool that a call of a session's log is for; undefined where the log has no such call. */
export async function nameOfCall(gateway: Gateway, sessionId: string, toolUseId: string): Promise<string | undefined> {
  const { last_seq } = await gateway.resumeSession(sessionId);
  for await (const { type, seq, data } of gateway.events(sessionId, "0")) {
    if (type === "TOOL_CALL" && data.id === toolUseId) return data.name;
    if (seq >= last_seq) break;
  }
  return undefined;
}
