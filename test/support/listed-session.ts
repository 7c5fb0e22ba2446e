import { ulid } from "ulid";
import type { Session } from "../../src/protocol/rest.ts";

/** A session as a list shows it. */
export function listedSession(given: Partial<Session> = {}): Session {
  const session_id = `session_${ulid()}`;
  return {
    session_id,
    user_id: "local",
    title: null,
    status: "idle",
    workspace_dir: `sessions/${session_id}`,
    model: "demo",
    metadata: {},
    created_at: "2026-01-01T00:00:00.000Z",
    updated_at: "2026-01-01T00:00:00.000Z",
    last_seq: 0,
    active_turn: null,
    queued_turns: [],
    pending_inputs: [],
    ...given,
  };
}
