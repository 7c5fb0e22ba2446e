/** The short chaos run over a gateway in this machine's processes of which each log has a text that is wrong in one character. */
import type { ChaosHost } from "../chaos/host.ts";
import { runChaos } from "../chaos/run.ts";

function tamper(host: ChaosHost): ChaosHost {
  return {
    name: host.name,
    ways: host.ways,
    replyWays: host.replyWays,
    start: () => host.start(),
    kill: () => host.kill(),
    remains: (sessionId) => host.remains(sessionId),
    leftBehind: (kept, removed) => host.leftBehind(kept, removed),
    createSession: (body, key) => host.createSession(body, key),
    describe: (sessionId) => host.describe(sessionId),
    submit: (sessionId, body, key) => host.submit(sessionId, body, key),
    cancel: (sessionId) => host.cancel(sessionId),
    cancelTurn: (sessionId, turnId) => host.cancelTurn(sessionId, turnId),
    reply: (sessionId, reply, how) => host.reply(sessionId, reply, how),
    deleteSession: (sessionId) => host.deleteSession(sessionId),
    log: async (sessionId) => {
      const log = await host.log(sessionId);
      const event = log.find(({ type, data }) => type === "TEXT" && data.text !== "");
      if (event?.type === "TEXT") event.data.text = `_${event.data.text.slice(1)}`;
      return log;
    },
    files: (sessionId) => host.files(sessionId),
    watch: (sessionId, how) => host.watch(sessionId, how),
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

const options = { seed: 1, sessions: 2, kills: 1, hosts: ["in-process" as const], short: true, keep: null };
process.exit((await runChaos({ ...options, wrap: tamper })) ? 0 : 1);
