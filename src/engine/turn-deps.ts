import type { AskedTool, Model, Tool, ToolSpec, Workspace } from "./ports.ts";
import type { Span } from "./span.ts";
import type { TurnStore } from "./turn-store.ts";

/** The tools of a session, by name and as the model is told of them (in an order that never changes). */
export type ToolSet = { get(name: string): Tool | AskedTool | undefined; specs(): ToolSpec[] };

/** How long each thing outside may take, in milliseconds. */
export type Deadlines = {
  firstEventMs: number;
  nextEventMs: number;
  /** A model's message may stand still for this long, whatever else the model sends. */
  progressMs: number;
  /** A call of the model as a whole. */
  callMs: number;
  toolMs: number;
};

export type TurnDeps = {
  store: TurnStore;
  model: Model;
  tools: ToolSet;
  workspace: Workspace;
  deadlines: Deadlines;
  now(): number;
  /** From 0 up to 1. */
  random(): number;
  newStageId(): string;
  /** Around each model call and each tool that is run; without one they just run. */
  span?: Span | undefined;
};
