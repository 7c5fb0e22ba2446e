import type { Event } from "../../protocol/events.ts";
import { canonicalJson } from "../../protocol/json.ts";
import { firstDifference } from "./differences.ts";
import { type Divergence, type Observation, ofTurns, type ReadView, turnsIn } from "./observation.ts";
import { exitCodeOf, resultOfEvents } from "./result-of-events.ts";

type Told = Omit<Divergence, "entry" | "scene">;

/**
 * What an entry point contradicts itself in: its views must show one log to the letter, ids and times included, its
 * results and exit codes must say what its events say, and its files must be those that its events name.
 */
export function ownFaults(observation: Observation, views: readonly ReadView[]): Divergence[] {
  const { entry, scene } = observation;
  const told: Told[] = [
    ...(observation.failure === null ? [] : [{ check: "answers" as const, text: observation.failure }]),
    ...views.flatMap(({ view, faults }) =>
      faults.map(({ seq, type, text }) => ({
        check: "order" as const,
        text: `${label(view.name)}${seq} ${type}: ${text}`,
      })),
    ),
    ...viewFaults(views),
    ...endingFaults(observation, views),
    ...fileFaults(observation, views),
  ];
  return told.map((one) => ({ entry, scene, ...one }));
}

/** How an event of a view is named. */
export function label(view: string): string {
  return view === "" ? "event " : `${view}, event `;
}

/** Each view against the first one, over the events that both show. */
function viewFaults([first, ...others]: readonly ReadView[]): Told[] {
  if (first === undefined) return [];
  const expected = new Map(first.events.map((event) => [event.seq, event]));
  return others.flatMap(({ view, events }) =>
    events.flatMap((event): Told[] => {
      const same = expected.get(event.seq);
      if (same === undefined) return [];
      const text = firstDifference(comparable(same), comparable(event));
      return text === ""
        ? []
        : [
            {
              check: event.type,
              text: `${label(view.name)}${event.seq} ${event.type}, against ${first.view.name}: ${text}`,
            },
          ];
    }),
  );
}

function comparable({ type, turn_id, timestamp, data }: Event) {
  return { type, turn_id, timestamp, data };
}

function endingFaults({ endings }: Observation, views: readonly ReadView[]): Told[] {
  const events = views[0]?.events ?? [];
  const session_id = events.flatMap(({ type, data }) => (type === "SESSION_INFO" ? [data.session_id] : []))[0];
  const turns = new Map(turnsIn(events).map((turn) => [turn[0]?.turn_id ?? "", turn]));
  return endings.flatMap((ending): Told[] => {
    const turnId = ending.kind === "result" ? ending.result.turn_id : (ending.turnId ?? "");
    const expected = resultOfEvents(turns.get(turnId) ?? []);
    if (expected === null) return [{ check: "result", text: `a turn ended that has no end in the events: ${turnId}` }];
    if (ending.kind === "exit") {
      const code = exitCodeOf(expected.status);
      return ending.code === code
        ? []
        : [{ check: "result", text: `exit code: expected ${code} for ${expected.status}, found ${ending.code}` }];
    }
    const { turn_id, ...found } = ending.result;
    const text = firstDifference({ ...expected, session_id, pending_inputs: [] }, found);
    return text === "" ? [] : [{ check: "result", text: `the turn's result, against its events: ${text}` }];
  });
}

/** The bytes that were read back are those that the last WORK_PRODUCT of their path, or file_changed, told of. */
function fileFaults({ files, failure }: Observation, views: readonly ReadView[]): Told[] {
  if (failure !== null) return [];
  const read = new Map(files.map((file) => [file.path, file]));
  const products = new Map(
    ofTurns(views[0]?.events ?? []).flatMap((event) =>
      event.type === "WORK_PRODUCT" ? [[event.data.path, event.data] as const] : [],
    ),
  );
  return [...products.values()].flatMap(({ path, size, sha256 }): Told[] => {
    const found = read.get(path);
    // It may have been deleted since; that it is there or not is compared between entry points.
    if (found === undefined || canonicalJson({ path, size, sha256 }) === canonicalJson(found)) return [];
    return [
      { check: "files", text: `against its WORK_PRODUCT: ${firstDifference({ path, size, sha256 }, found)} (${path})` },
    ];
  });
}
