import type { Gateway } from "../client/gateway.ts";
import type { Program } from "../parity/entry-points/command-line.ts";
import { commandLineEntryPoint } from "../parity/entry-points/command-line-entry-point.ts";
import { directEntryPoint, type RunDirect } from "../parity/entry-points/direct-entry-point.ts";
import type { EntryPoint, Show, Shown } from "../parity/entry-points/entry-point.ts";
import { gatewayEntryPoint } from "../parity/entry-points/gateway-entry-point.ts";
import { restEntryPoint } from "../parity/entry-points/rest-entry-point.ts";
import type { Address } from "../parity/entry-points/rest-session.ts";
import { sseEntryPoint } from "../parity/entry-points/sse-entry-point.ts";
import { webSocketEntryPoint } from "../parity/entry-points/web-socket-entry-point.ts";
import { MANY_TURNS, type Scene } from "../parity/scenes.ts";
import type { Models } from "./in-process.ts";
import { Renderer } from "./render.ts";

/** The columns of a stream that is no terminal, as the processes that are started have them. */
const COLUMNS = 120;

/** Shows a turn's events as `turnpike run` does in a pipe. */
export const showTurn: Show = (events, { thinking }) => {
  const stderr = { isTTY: false, color: false, columns: COLUMNS };
  const renderer = new Renderer({ json: false, thinking, stdout: { isTTY: false }, stderr });
  const shown: Shown = { stdout: "", stderr: "" };
  for (const event of events) for (const { to, text } of renderer.render(event)) shown[to] += text;
  return shown;
};

/** `home` is where sessions are kept, and what Node has compiled of the command lines that are started. */
export type RemoteOptions = { home: string; address: Address; gateway: Gateway };

/** The ways to a gateway on the network. */
export function remoteEntryPoints({ address, gateway, home }: RemoteOptions): EntryPoint[] {
  const settings = { TURNPIKE_GATEWAY_URL: address.baseUrl, TURNPIKE_TOKEN: address.token };
  return [
    restEntryPoint(address),
    sseEntryPoint(address),
    webSocketEntryPoint(address),
    gatewayEntryPoint("client", gateway),
    commandLineEntryPoint({
      name: "CLI remote",
      program: commandLine(settings, home),
      flags: ["--no-fallback"],
      leavesOut: (scene) => isTooLong(scene) ?? asks(scene),
      remove: (sessionId) => gateway.deleteSession(sessionId),
    }),
  ];
}

export type LocalOptions = { home: string; gateway: Gateway; models: Models };

/** The ways that need no network. */
export function localEntryPoints({ gateway, models, home }: LocalOptions): EntryPoint[] {
  return [
    directEntryPoint(directWith(models)),
    gatewayEntryPoint("in-process", gateway),
    commandLineEntryPoint({
      name: "CLI in-process",
      program: commandLine({}, home),
      flags: [],
      leavesOut: (scene) =>
        isTooLong(scene) ?? asks(scene) ?? (isBusy(scene) ? "a session is held by the process that runs a turn" : null),
      remove: (sessionId) => gateway.deleteSession(sessionId),
    }),
  ];
}

/** Loaded only now, as all that needs a newer Node than a remote gateway does. */
function directWith(models: Models): RunDirect {
  return async function* (options, message) {
    const { runDirect } = await import("../local/run-direct.ts");
    yield* runDirect({ ...options, models }, message);
  };
}

function isTooLong({ name }: Scene): string | null {
  return name === MANY_TURNS ? "each turn would be processes of their own" : null;
}

function asks({ steps }: Scene): string | null {
  return steps.some((step) => step.do === "answer") ? "without a terminal it leaves when its turn waits" : null;
}

/** Whether somebody speaks while a turn runs. */
function isBusy({ steps }: Scene): boolean {
  return steps.some((step) => step.do === "queue" || step.do === "interrupt" || step.do === "steer");
}

const SETTINGS = /^(GATEWAY_TOKEN|TURNPIKE_.*)$/;

/** This program, run with other settings. */
function commandLine(settings: Record<string, string>, home: string): Program {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !SETTINGS.test(name)));
  const [, main = "turnpike"] = process.argv;
  return { command: [process.execPath, main], env: { ...inherited, ...settings, TURNPIKE_HOME: home }, cwd: home };
}
