/** A process that lets others follow a session, for the tests of doors: `node door-process.ts <what> <path>`. */
import { openDoor } from "../../src/local/door.ts";
import { LogBehindDoor } from "./log-behind-door.ts";

const [what, path = ""] = process.argv.slice(2);
const session = new LogBehindDoor();
session.append("one", "two");
process.stdin.resume();
await openDoor(path, session);
console.log("open");
await session.followedBy(1);
// But for stdin, nothing may keep this process alive.
if (what === "leave") process.stdin.pause();
