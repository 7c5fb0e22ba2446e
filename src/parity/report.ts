import { EVENT_TYPES, type EventType } from "../protocol/events.ts";
import { type Check, type Divergence, type Observation, readViews, turnsIn } from "./compare/observation.ts";
import { resultOfEvents } from "./compare/result-of-events.ts";
import { DEMO, type ParityReport } from "./run-parity.ts";
import { BASELINE, MANY_TURNS, REGRESSION } from "./scenes.ts";

const NAMED_SCENES: readonly string[] = [BASELINE, REGRESSION, MANY_TURNS];

/** What is compared beside events, in the words of the table. */
const OTHER_CHECKS: readonly Exclude<Check, EventType>[] = ["answers", "order", "result", "files", "shown"];

/** A line for each thing that is compared, a column for each entry point. */
export function reportTable(report: ParityReport): { heads: string[]; rows: string[][] } {
  const row = (name: string, cell: (entry: string) => string) => [name, ...report.entries.map(cell)];
  const scenes = NAMED_SCENES.filter((name) => report.scenes.some((scene) => scene.name === name));
  const types: readonly EventType[] = report.model === DEMO ? EVENT_TYPES : [];
  return {
    heads: ["compared", ...report.entries],
    rows: [
      ...scenes.map((name) =>
        row(name, (entry) => cellOf(report, entry, ({ scene }) => scene === name, inScene(name))),
      ),
      ...types.map((type) => row(type, (entry) => cellOf(report, entry, ({ check }) => check === type, brings(type)))),
      ...OTHER_CHECKS.map((name) =>
        row(name, (entry) => cellOf(report, entry, ({ check }) => check === name, gives(name))),
      ),
      row("seconds", (entry) => secondsOf(report, entry)),
    ],
  };
}

function cellOf(
  { divergences, observations }: ParityReport,
  entry: string,
  isAbout: (divergence: Divergence) => boolean,
  applies: (observation: Observation) => boolean,
): string {
  if (divergences.some((one) => (one.entry === entry || one.entry === "all") && isAbout(one))) return "differs";
  return observations.some((one) => one.entry === entry && applies(one)) ? "ok" : "–";
}

const inScene = (name: string) => (observation: Observation) => observation.scene === name;

const brings = (type: EventType) => (observation: Observation) =>
  observation.views.some(({ streams }) => streams.some((stream) => stream.some((event) => event.type === type)));

function gives(check: (typeof OTHER_CHECKS)[number]): (observation: Observation) => boolean {
  switch (check) {
    case "answers":
      return () => true;
    case "order":
      return ({ views }) => views.some(({ streams }) => streams.flat().length > 0);
    case "result":
      return ({ endings }) => endings.length > 0;
    case "files":
      return ({ files }) => files.length > 0;
    case "shown":
      return ({ shown }) => shown.live !== null || shown.replay !== null;
  }
}

function secondsOf({ observations }: ParityReport, entry: string): string {
  const own = observations.filter((observation) => observation.entry === entry);
  if (own.length === 0) return "–";
  return own.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1);
}

/** What follows the table: what was left out, what is only told, and every difference in full. */
export function reportLines(report: ParityReport): string[] {
  const { divergences } = report;
  return [
    ...leftOutLines(report),
    ...(report.model === DEMO ? [] : tellings(report)),
    "",
    divergences.length === 0 ? "No difference." : `${divergences.length} differ:`,
    ...divergences.flatMap(({ entry, scene, text }) => ["", `  ${entry}, ${scene}: ${text}`]),
  ];
}

function leftOutLines({ leftOut }: ParityReport): string[] {
  const groups = Map.groupBy(leftOut, ({ entry, why }) => `${entry} (${why})`);
  return [...groups].map(([who, scenes]) => `– ${who}: ${scenes.map(({ scene }) => scene).join(", ")}`);
}

/** With a model that chooses its words: what may differ, as information. */
function tellings({ model, observations }: ParityReport): string[] {
  return [
    "",
    `With ${model}, events and what is shown are not compared. For information:`,
    ...observations.map((observation) => {
      const { entry, scene } = observation;
      const { status, toolCalls, characters, paths } = tellingOf(observation);
      const made = paths.length === 0 ? "nothing" : paths.join(", ");
      const calls = `${toolCalls} tool ${toolCalls === 1 ? "call" : "calls"}, ${characters} characters of text`;
      return `  ${scene}, ${entry}: ${status} in ${observation.seconds.toFixed(1)} s, ${calls}, made ${made}`;
    }),
  ];
}

/** What an entry point's turns came to, in figures that a model is free in. */
type Telling = { status: string; toolCalls: number; characters: number; paths: string[] };

function tellingOf({ views }: Observation): Telling {
  const results = turnsIn(readViews(views)[0]?.events ?? []).flatMap((turn) => resultOfEvents(turn) ?? []);
  return {
    status: results.map(({ status }) => status).join(", ") || "no end",
    toolCalls: results.reduce((count, { tool_calls }) => count + tool_calls, 0),
    characters: results.reduce((count, { response_text }) => count + response_text.length, 0),
    paths: [...new Set(results.flatMap(({ work_products }) => work_products))],
  };
}
