/**
 * The short chaos run over a gateway in this machine's processes of which one thing is not true:
 * `node tampered-chaos.ts log` reads a log with a text that is wrong in one character, `… files` a file that nobody made.
 */
import type { ChaosHost } from "../chaos/host.ts";
import { runChaos } from "../chaos/run.ts";

const [what = ""] = process.argv.slice(2);

function tamper(host: ChaosHost): ChaosHost {
  return {
    name: host.name,
    ways: host.ways,
    start: () => host.start(),
    kill: () => host.kill(),
    remains: (sessionId) => host.remains(sessionId),
    leftBehind: (kept, removed) => host.leftBehind(kept, removed),
    createSession: (body, key) => host.createSession(body, key),
    describe: (sessionId) => host.describe(sessionId),
    submit: (sessionId, body, key) => host.submit(sessionId, body, key),
    cancel: (sessionId) => host.cancel(sessionId),
    cancelTurn: (sessionId, turnId) => host.cancelTurn(sessionId, turnId),
    deleteSession: (sessionId) => host.deleteSession(sessionId),
    log: async (sessionId) => {
      const log = await host.log(sessionId);
      const event = log.find(({ type, data }) => type === "TEXT" && data.text !== "");
      if (what === "log" && event?.type === "TEXT") event.data.text = `_${event.data.text.slice(1)}`;
      return log;
    },
    files: async (sessionId) => {
      const files = await host.files(sessionId);
      return what === "files" ? files.set("stray.txt", new Uint8Array()) : files;
    },
    watch: (sessionId, how) => host.watch(sessionId, how),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

const options = { seed: 1, sessions: 2, kills: 1, hosts: ["in-process" as const], short: true, keep: null };
process.exit((await runChaos({ ...options, wrap: tamper })) ? 0 : 1);
