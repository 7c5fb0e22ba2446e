import { usageFailure } from "./failure.ts";
import { ownCommand } from "./own-command.ts";

/** The session that a command is about, and at most so many arguments after it. @throws Failure */
export function sessionAnd(
  command: string,
  positionals: string[],
  atMost: number,
): { sessionId: string; rest: string[] } {
  const [sessionId, ...rest] = positionals;
  if (!sessionId)
    throw usageFailure(`Which session? ${ownCommand(`${command} ID …`)}; ${ownCommand("sessions")} lists them.`);
  if (rest.length > atMost) throw usageFailure(`Unexpected argument '${rest[atMost]}'`);
  return { sessionId, rest };
}

/** The one session that a command is about, and nothing else. @throws Failure */
export function onlySession(command: string, positionals: string[]): string {
  return sessionAnd(command, positionals, 0).sessionId;
}
