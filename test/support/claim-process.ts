/** A process that takes sessions, for the tests of claims: `node claim-process.ts <what> <folder>…`. */
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { type Held, holderOf, SessionClaim } from "../../src/local/session-claim.ts";
import { GatewayError } from "../../src/protocol/errors.ts";

/** How often each process that takes turns has the session. */
const TURNS = 25;

const [what, ...folders] = process.argv.slice(2);
const folder = folders[0] ?? "";

function take(from: string): SessionClaim | Held | "not_found" {
  try {
    return SessionClaim.take(from, `test ${what}`);
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return "not_found";
    throw thrown;
  }
}

/** Holds the session until stdin ends, or says who does. */
function hold(): void {
  const claim = take(folder);
  console.log(claim instanceof SessionClaim ? "held" : JSON.stringify(claim));
  process.stdin.resume();
}

/** Asks who holds the session, over and over, until its folder is gone; then says what the answers were. */
function ask(): void {
  const answers = new Set<string>();
  console.log("asking");
  while (existsSync(folder)) answers.add(JSON.stringify(holderOf(folder)));
  console.log(`[${[...answers].join()}]`);
}

/** Takes the session and gives it back, over and over, and fails if it is not alone with it. */
function takeTurns(): void {
  for (let turns = 0; turns < TURNS; ) {
    const claim = take(folder);
    if (!(claim instanceof SessionClaim)) continue;
    mkdirSync(join(folder, "alone"));
    rmdirSync(join(folder, "alone"));
    claim.release();
    turns++;
  }
}

/** Tries to take each session until there is none, and says which of them it had. */
function outlast(): void {
  console.log("trying");
  const had = folders.filter((from) => {
    for (;;) {
      const claim = take(from);
      if (claim instanceof SessionClaim) return true;
      if (claim === "not_found") return false;
    }
  });
  console.log(JSON.stringify(had));
}

const deeds: Record<string, () => void> = { hold, ask, takeTurns, outlast };
deeds[what ?? ""]?.();
