/** How this program is called: in a clone by way of npm. */
const OWN_NAME = process.env["npm_lifecycle_event"] === "turnpike" ? "npm run turnpike --" : "turnpike";

/** A command of this program, as it is to be typed where this one was. */
export function ownCommand(rest: string): string {
  return `${OWN_NAME} ${rest}`;
}
