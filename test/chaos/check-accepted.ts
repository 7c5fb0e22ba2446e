import { parseCursor } from "../../src/protocol/cursors.ts";
import type { Event } from "../../src/protocol/events.ts";
import { canonicalJson } from "../../src/protocol/json.ts";
import type { AcceptedTurn, SubmitTurnBody } from "../../src/protocol/rest.ts";

/** A message as a client sent it, with its key as often as it took. Times in ms since the epoch. */
export type Sent = {
  body: SubmitTurnBody;
  /** Of the first try. */
  sentAt: number;
  /** Null where no try was answered, which leaves open whether it was accepted. */
  answer: { turn: AcceptedTurn; at: number } | null;
};

/** What the log shows of a turn's beginning. */
type Begun = {
  turnId: string;
  firstSeq: number;
  /** Its place among those that waited, and how many waited before it came; null if it did not have to wait. */
  queued: { position: number; behind: number } | null;
  text: string;
  /** Null while it waits. */
  metadata: string | null;
  hasEnded: boolean;
  steered: string[];
};

/**
 * Each message that was acknowledged has its turn, or joined the one that its answer names, once, with its own text; and
 * no turn comes from nowhere. Each session's own messages; the log is whole.
 */
export function checkAccepted(sent: readonly Sent[], log: readonly Event[]): string[] {
  const begun = beginningsOf(log);
  const told: string[] = [];
  const owners = new Map<string, Sent>();
  for (const one of sent) {
    const turn = one.answer?.turn;
    if (turn === undefined || turn.steered === true) continue;
    if (owners.has(turn.turn_id)) told.push(`${turn.turn_id}: answers two messages`);
    owners.set(turn.turn_id, one);
    const found = begun.get(turn.turn_id);
    if (found === undefined) told.push(`${turn.turn_id}: was acknowledged (${shown(one)}) and is not in the log`);
    else told.push(...beginningFaults(one.body, turn, found));
  }
  return [...told, ...strayFaults(sent, begun, owners), ...orderFaults(sent, begun)];
}

function beginningsOf(log: readonly Event[]): Map<string, Begun> {
  const begun = new Map<string, Begun>();
  const waiting = new Set<string>();
  for (const { seq, type, turn_id: turnId, data } of log) {
    if (turnId === null) continue;
    const turn: Begun = begun.get(turnId) ?? {
      turnId,
      firstSeq: seq,
      queued: null,
      text: "",
      metadata: null,
      hasEnded: false,
      steered: [],
    };
    begun.set(turnId, turn);
    if (type === "STATUS" && data.status === "queued") {
      turn.queued = { position: data.position, behind: waiting.size };
      turn.text = data.text;
      waiting.add(turnId);
    } else waiting.delete(turnId);
    if (type === "STATUS" && data.status === "steered") turn.steered.push(data.text);
    if (type === "ITERATION_END") turn.hasEnded = true;
    if (type === "USER_INPUT") {
      turn.text = data.text;
      turn.metadata = canonicalJson(data.metadata);
    }
  }
  return begun;
}

function beginningFaults(body: SubmitTurnBody, turn: AcceptedTurn, found: Begun): string[] {
  const told: string[] = [];
  const differs = (what: string, expected: unknown, is: unknown) => {
    if (expected !== is) {
      told.push(`${turn.turn_id}: ${what}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(is)}`);
    }
  };
  differs("the text", textOf(body), found.text);
  if (found.metadata !== null) differs("the metadata", canonicalJson(body.metadata ?? {}), found.metadata);
  differs("the seq after the answer's cursor", (parseCursor(turn.cursor)?.seq ?? Number.NaN) + 1, found.firstSeq);
  differs("whether it waited", turn.status === "queued", found.queued !== null);
  if (found.queued !== null) {
    const { position, behind } = found.queued;
    const first = body.on_busy === "interrupt" && position === 1;
    if (!first) differs("its place", behind + 1, position);
  }
  return told;
}

/**
 * Turns that answer no message, which may have come of a message without an answer, or of one that was to join a turn and
 * had not at its end; and messages that joined a turn.
 */
function strayFaults(
  sent: readonly Sent[],
  begun: ReadonlyMap<string, Begun>,
  owners: ReadonlyMap<string, Sent>,
): string[] {
  const told: string[] = [];
  const strays = [...begun.values()].filter(({ turnId }) => !owners.has(turnId));
  const joined = [...begun.values()].flatMap(({ turnId, steered }) => steered.map((text) => ({ turnId, text })));
  const take = <T>(list: T[], test: (one: T) => boolean) => {
    const at = list.findIndex(test);
    return at < 0 ? undefined : list.splice(at, 1)[0];
  };
  for (const one of sent) {
    const turn = one.answer?.turn;
    if (turn?.steered !== true) continue;
    const text = textOf(one.body);
    const target = begun.get(turn.turn_id);
    const hasJoined = take(joined, (other) => other.turnId === turn.turn_id && other.text === text);
    const next = (stray: Begun) => stray.text === text && stray.firstSeq > (target?.firstSeq ?? 0);
    if (hasJoined !== undefined || take(strays, next) !== undefined) continue;
    if (target === undefined || target.hasEnded) {
      told.push(`${turn.turn_id}: ${shown(one)} was to join it, and neither did nor became a turn`);
    }
  }
  const unanswered = sent.filter(({ answer }) => answer === null);
  for (const { turnId, text } of [...joined, ...strays]) {
    const source = take(unanswered, ({ body }) => textOf(body) === text);
    if (source === undefined) told.push(`${turnId}: ${JSON.stringify(text)} comes from no message`);
  }
  return told;
}

/** A message that was sent after the answer to another comes after it. */
function orderFaults(sent: readonly Sent[], begun: ReadonlyMap<string, Begun>): string[] {
  const own = sent.flatMap(({ sentAt, answer }) => {
    const firstSeq = answer === null || answer.turn.steered === true ? null : begun.get(answer.turn.turn_id)?.firstSeq;
    return answer === null || firstSeq == null ? [] : [{ sentAt, at: answer.at, firstSeq, id: answer.turn.turn_id }];
  });
  return own.flatMap((one) =>
    own
      .filter(({ sentAt, firstSeq }) => sentAt > one.at && firstSeq < one.firstSeq)
      .map(({ id }) => `${id}: was sent after ${one.id} was acknowledged, and comes before it`),
  );
}

function textOf({ user_input }: SubmitTurnBody): string {
  return user_input.toWellFormed();
}

function shown({ body }: Sent): string {
  return JSON.stringify(textOf(body).slice(0, 80).toWellFormed());
}
