import type { Gateway } from "../client/gateway.ts";
import { parseCursor } from "../protocol/cursors.ts";
import type { Event } from "../protocol/events.ts";
import type { Session } from "../protocol/rest.ts";
import type { Approval } from "./approval.ts";
import { Desk } from "./desk.ts";
import { EXIT } from "./failure.ts";
import { cancelOnInterrupt } from "./interrupts.ts";
import type { OpenGateway } from "./open-gateway.ts";
import { ownCommand } from "./own-command.ts";
import type { Renderer } from "./render.ts";
import { cursorPath, ShownCursor } from "./shown-cursor.ts";
import { print } from "./terminal.ts";
import { exitCodeOf } from "./turn-exit.ts";

export type FollowOptions = {
  session: Session;
  /** The cursor up to which everything was shown. */
  after: string;
  /** Where another process shows the session on its own terminal: begin with the whole of the turn that runs. */
  wholeTurn: boolean;
  renderer: Renderer;
  /** Whether to show the messages too, which the events of a turn are the answer to. */
  showInput: boolean;
  /** How what is asked for approval is answered. */
  approval: Approval | null;
  /** What other commands need to find the gateway. */
  flags: string;
};

/**
 * Shows a session from a cursor on, until nothing in it runs or waits, and has answered what it asks for.
 *
 * @returns the exit code that the last turn's end asks for; 0 if none ended
 * @throws what the gateway throws; Failure where nobody here can answer
 */
export async function followUntilIdle(opened: OpenGateway, options: FollowOptions): Promise<number> {
  const { gateway } = opened;
  const { after, renderer, approval, flags } = options;
  const { session_id, active_turn, last_seq, pending_inputs } = options.session;
  let shown = shownBy(after);
  if (isThrough(options.session, shown)) {
    print(renderer.note("nothing new, and nothing runs"));
    return EXIT.complete;
  }
  const holder = opened.otherHolder(session_id);
  if (holder !== null) print(renderer.note(`held by ${holder}, and followed there`));
  // Another process's turn is left to it.
  const cancel = () => (opened.otherHolder(session_id) === null ? gateway.cancel(session_id) : null);
  const leaving = `left before its end; to go on: ${ownCommand(`resume ${session_id}`)}`;
  const desk = new Desk({ gateway, sessionId: session_id, renderer, approval, approvesAll: true, flags });
  const cursor = new ShownCursor(cursorPath(opened, session_id), after);
  try {
    return await cancelOnInterrupt({ renderer, cancel, leaving }, async () => {
      let session = options.session;
      let exitCode: number = EXIT.complete;
      const turnId = holder !== null && options.wholeTurn ? active_turn : null;
      // What was asked before is asked once everything up to then was shown.
      let isPast = turnId !== null || shown < last_seq;
      if (!isPast) desk.see(pending_inputs);
      for await (const event of eventsFrom(gateway, session_id, { after, turnId, signal: desk.signal })) {
        if (event.type === "USER_INPUT") renderer.beginTurn();
        desk.prompter.print(...(options.showInput ? inputOf(event, renderer) : []));
        desk.show(event, isPast);
        cursor.take(event);
        if (isPast && event.seq >= last_seq) {
          isPast = false;
          desk.see(pending_inputs);
        }
        shown = Math.max(shown, event.seq);
        if (event.type === "ITERATION_END") exitCode = exitCodeOf(event.data.status);
        // While a turn runs only its end is worth a question.
        if (event.type !== "ITERATION_END" && !isThrough(session, shown)) continue;
        session = await gateway.resumeSession(session_id);
        if (isThrough(session, shown)) break;
      }
      return exitCode;
    });
  } catch (thrown) {
    throw desk.explain(thrown);
  } finally {
    desk.end();
    cursor.close();
  }
}

/** The events after a cursor and, if a turn is named, all of that turn's: it may have begun before. */
async function* eventsFrom(
  gateway: Gateway,
  sessionId: string,
  { after, turnId, signal }: { after: string; turnId: string | null; signal: AbortSignal },
): AsyncGenerator<Event> {
  const shown = shownBy(after);
  let hasBegun = turnId === null;
  for await (const event of gateway.events(sessionId, hasBegun ? after : "0", { signal })) {
    hasBegun ||= event.turn_id === turnId || event.seq > shown;
    if (hasBegun) yield event;
  }
}

/** The last event that was shown whole, up to a cursor. */
function shownBy(cursor: string): number {
  const position = parseCursor(cursor);
  return position?.block === undefined ? (position?.seq ?? 0) : position.block.seq - 1;
}

/** Whether nothing is left to be shown of a session, as it stood when it was asked for. */
function isThrough({ status, last_seq }: Session, shown: number): boolean {
  return status === "idle" && shown >= last_seq;
}

function inputOf(event: Event, renderer: Renderer) {
  return event.type === "USER_INPUT" ? [renderer.note(`> ${event.data.text}`)] : [];
}
