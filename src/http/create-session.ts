import { ulid } from "ulid";
import { type Creation, claimCreation, releaseCreation } from "../catalog/creations.ts";
import { giveSeatBack, type Seat, takeSeat } from "../catalog/session-seats.ts";
import { logError } from "../logging/log.ts";
import { GatewayError, notFound, type Problem, toProblem } from "../protocol/errors.ts";
import type { GatewaySettings } from "../protocol/gateway-settings.ts";
import { canonicalJson } from "../protocol/json.ts";
import { SESSIONS_RETRY_AFTER_SECONDS, STORAGE_TIMEOUT_MS } from "../protocol/limits.ts";
import { sessionOfWorkspaceDir } from "../protocol/paths.ts";
import type { Principal } from "../protocol/principal.ts";
import type { CreateSessionBody, Session } from "../protocol/rest.ts";
import { hexSha256 } from "../protocol/sha256.ts";
import { type Answer, type CreateSession, sessionFields } from "../session/session-api.ts";
import { checkAllowedFor } from "./allowed-users.ts";
import { gatewaySettings } from "./gateway-settings.ts";
import { unwrap } from "./problem-response.ts";
import { sessionOf } from "./session-stub.ts";
import { within } from "./within.ts";

type Asking = { principal: Principal; defaultModel: string };
type Settings = Omit<CreateSession, "session_id">;

/**
 * Creates a session. With an `Idempotency-Key` the catalog says which session the key names before its object is
 * called, so that a repeat finishes that one and answers as the first request was answered.
 *
 * @throws GatewayError `forbidden`, `path_refused`, `idempotency_key_reused`, or what the session's object answers
 */
export async function createSession(
  env: Cloudflare.Env,
  { principal, defaultModel }: Asking,
  body: CreateSessionBody,
  key: string | null,
): Promise<Session> {
  const gateway = gatewaySettings(env);
  const settings = settingsOf(principal, { defaultModel, gateway }, body);
  checkAllowedFor(gateway, principal, settings.user_id);
  const create = (session_id: string) =>
    inSeat(env, { session_id, user_id: settings.user_id }, gateway.maxSessions, () =>
      sessionOf(env, session_id).create(principal, { ...settings, session_id }),
    );
  if (key === null) return unwrap(await create(newSessionId()));

  const creation: Creation = {
    user_id: principal.user_id,
    key,
    body_hash: await hexSha256(new TextEncoder().encode(canonicalJson(body))),
    session_id: newSessionId(),
  };
  const claim = await within(STORAGE_TIMEOUT_MS, claimCreation(env.CATALOG, creation, Date.now()));
  if (claim.body_hash !== creation.body_hash) {
    throw new GatewayError("idempotency_key_reused", "This Idempotency-Key came with another body before.");
  }
  // Calling the object would create the session a second time.
  if (claim.deleted) throw notFound();
  const answer = await create(claim.session_id);
  if (!answer.ok && isRefusal(answer.problem)) {
    const released = releaseCreation(env.CATALOG, { ...creation, session_id: claim.session_id });
    // A key that stays is refused for the same reason.
    await within(STORAGE_TIMEOUT_MS, released).catch((thrown: unknown) => logError("creating a session", thrown));
  }
  return asCreated(unwrap(answer), settings);
}

/** Creates a session within the number that its user may have. D1 is asked only where there is a limit. */
async function inSeat<T>(
  env: Cloudflare.Env,
  seat: Seat,
  max: number | null,
  create: () => Promise<Answer<T>>,
): Promise<Answer<T>> {
  if (max === null) return create();
  const taken = await within(STORAGE_TIMEOUT_MS, takeSeat(env.CATALOG, seat, max, Date.now()));
  if (!taken) return { ok: false, problem: toProblem(tooMany(max)), retryAfterSeconds: SESSIONS_RETRY_AFTER_SECONDS };
  const answer = await create();
  if (!answer.ok && isRefusal(answer.problem)) {
    const givenBack = giveSeatBack(env.CATALOG, seat);
    // A seat that stays goes by itself, as does that of a creation which was interrupted: it may still come to be.
    await within(STORAGE_TIMEOUT_MS, givenBack).catch((thrown: unknown) => logError("creating a session", thrown));
  }
  return answer;
}

function tooMany(max: number): GatewayError {
  return new GatewayError("rate_limited", `A user has ${max} sessions at most. Delete one, or ask for more.`);
}

/**
 * Whether a creation was refused, so that its key is free. One that was interrupted keeps it, for its repeat to finish;
 * so does one whose session was there and is being deleted.
 */
function isRefusal({ code, status }: Problem): boolean {
  return status < 500 && code !== "not_found";
}

/** A session as it was when it was created with these settings, whatever became of it since. */
function asCreated(session: Session, { title, model, metadata }: Settings): Session {
  return {
    ...session,
    title,
    model,
    metadata,
    status: "idle",
    updated_at: session.created_at,
    last_seq: 0,
    active_turn: null,
    queued_turns: [],
    pending_inputs: [],
  };
}

function settingsOf(
  principal: Principal,
  defaults: { defaultModel: string; gateway: GatewaySettings },
  body: CreateSessionBody,
): Settings {
  return {
    ...sessionFields(principal, defaults, body),
    workspace_from: body.workspace_dir === undefined ? null : sourceOf(body.workspace_dir),
  };
}

/** The session whose files a new one starts with: `sessions/<session_id>` and nothing else. */
function sourceOf(workspaceDir: string): string {
  const source = sessionOfWorkspaceDir(workspaceDir);
  if (source === null) {
    throw new GatewayError(
      "path_refused",
      "A workspace_dir is sessions/<session_id>, and names a session of the same user.",
    );
  }
  return source;
}

function newSessionId(): string {
  return `session_${ulid()}`;
}
