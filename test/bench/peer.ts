import { setTimeout as pause } from "node:timers/promises";
import { type Figure, median, quantile, type Result, type Row, reported, round } from "./figures.ts";
import { inTurns } from "./in-turns.ts";
import { type Load, PACED_DELAY_MS } from "./load.ts";
import { PeerProcess } from "./peer-process.ts";
import { type PeerTarget, peerTarget } from "./peer-target.ts";
import type { Setting } from "./setting.ts";
import { StreamClient } from "./stream-client.ts";
import { floorTarget, gatewayTarget, type StreamTarget } from "./stream-target.ts";
import { timeFirstTextOfNew } from "./time-first-text.ts";
import { watchStream } from "./watch-stream.ts";

const LAG_CLIENTS = 50;
const LAG_ROUNDS = 2;
const LAG_LOAD: Load = { deltas: 500, delayMs: PACED_DELAY_MS, size: 40 };
/** So few that the peer ends in some seconds. Of Turnpike's time its way to the first text is then a good part. */
const FLAT_OUT: Load = { deltas: 1_000, delayMs: 0, size: 40 };
/** Clients, and how often that is measured. */
const FLAT_OUT_ROUNDS: [number, number][] = [
  [1, 3],
  [10, 3],
  [50, 1],
  [200, 1],
];
const FIRST_TEXT_ROUNDS = 20;
const FIRST_TEXT_LOAD: Load = { deltas: 1, delayMs: 0, size: 40 };
const ROW_DELTAS = [100, 500, 2_000];
const TURNS = 30;
const TURN_LOAD: Load = { deltas: 100, delayMs: 0, size: 40 };
/** For what is sent or written after the end: it is counted and not timed. */
const SETTLING_MS = 300;

/**
 * Cloudflare's Agents SDK, beside Turnpike and the floor under the same loads.
 *
 * @param folder of its bench, with its packages; null leaves the figure out
 * @returns null where it is left out, which it has then said
 */
export async function measurePeer(
  setting: Setting,
  folder: string | null,
  runs: number | null,
): Promise<Figure | null> {
  if (folder === null) {
    console.log("peer: left out, for it wants the folder of the Agents SDK's bench: --peer FOLDER\n");
    return null;
  }
  await using chat = await PeerProcess.start(folder, "chat", "raw-agent");
  await using think = await PeerProcess.start(folder, "think", "think-agent");
  const own = [floorTarget(await setting.floor()), gatewayTarget(await setting.gateway())];
  const peers = [
    peerTarget(chat.url, "raw-agent"),
    peerTarget(chat.url, "ai-agent"),
    peerTarget(think.url, "think-agent"),
  ];
  const targets = [...own, ...peers];
  const rows: Row[] = [];
  const results: Result[] = [];
  const add = (name: string, values: number[], best: ((...of: number[]) => number) | null) => {
    rows.push({ name, values: values.map(round) });
    const [, ours = Number.NaN, ...theirs] = values;
    if (best === null) return;
    results.push(reported(`${name}: Turnpike to the Agents SDK at its best`, "×", ours / best(...theirs)));
  };

  // What is counted comes first, and so warms up what is timed.
  const growth = await Promise.all(targets.map((target) => growthOf(target)));
  const metered = await setting.metered();
  for (const deltas of ROW_DELTAS) {
    const session = await metered.createSession();
    const { rowsWritten } = await metered.count(session, () => metered.run(session, `Count to ${deltas}`));
    const theirs = await Promise.all(peers.map((peer) => rowsOf(peer, { ...TURN_LOAD, deltas })));
    add(`rows that its object writes for ${deltas} deltas`, [Number.NaN, rowsWritten, ...theirs], Math.min);
  }
  add(
    `bytes to who only watches, turn ${TURNS} to turn 1`,
    growth.map(({ first, last }) => last / first),
    Math.min,
  );
  add("message to first text, new conversation, median ms", await firstTexts(targets, runs), Math.min);
  for (const [clients, rounds] of FLAT_OUT_ROUNDS) {
    const found = await inTurns(targets, { rounds: runs ?? rounds, warmUp: 0 }, async (target) => {
      const { seconds } = await watchStream(target, clients, FLAT_OUT, "after");
      return (FLAT_OUT.deltas * clients) / seconds;
    });
    add(
      `delivered deltas a second, flat out, ${clients} ${clients === 1 ? "client" : "clients"}`,
      found.map(median),
      Math.max,
    );
  }
  const lags = await inTurns(targets, { rounds: runs ?? LAG_ROUNDS, warmUp: 0 }, async (target) => {
    const { lags: ms, seconds } = await watchStream(target, LAG_CLIENTS, LAG_LOAD, "lags");
    return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99), seconds };
  });
  for (const share of ["p50", "p99"] as const) {
    const values = lags.map((rounds) => median(rounds.map((one) => one[share])));
    add(`lag of deltas at ${LAG_CLIENTS} clients, paced, ${share}, ms`, values, Math.min);
  }
  // The peer's model waits while its object is busy, so that what its lag leaves out is found here.
  const ideal = (LAG_LOAD.deltas * LAG_LOAD.delayMs) / 1_000;
  const seconds = lags.map((rounds) => median(rounds.map((one) => one.seconds)));
  add(`the whole of that stream, which its pace makes ${ideal} s long, s`, seconds, Math.min);
  return {
    title: "Beside Cloudflare's Agents SDK, whose model is in its object: no network to it and nothing to parse",
    columns: ["bare object", ...targets.slice(1).map(({ name }) => name)],
    rows,
    results,
  };
}

async function firstTexts(targets: StreamTarget[], runs: number | null): Promise<number[]> {
  const rounds = { rounds: runs ?? FIRST_TEXT_ROUNDS, warmUp: 0 };
  const found = await inTurns(targets, rounds, (target) => timeFirstTextOfNew(target, FIRST_TEXT_LOAD));
  return found.map(median);
}

/** How many rows a load writes in a new conversation. */
async function rowsOf(peer: PeerTarget, load: Load): Promise<number> {
  const conversation = await peer.create();
  const socket = await peer.open(conversation);
  try {
    await pause(SETTLING_MS);
    await peer.rowsWritten(conversation);
    using client = new StreamClient(socket, peer, false);
    peer.begin(socket, load);
    await client.ended;
    await pause(SETTLING_MS);
    return await peer.rowsWritten(conversation);
  } finally {
    socket.terminate();
  }
}

/** How many bytes reach a client that only watches, in the first turn and in the last. */
async function growthOf(target: StreamTarget | PeerTarget): Promise<{ first: number; last: number }> {
  const conversation = await target.create();
  const asker = await target.open(conversation);
  const watcher = await target.open(conversation);
  let bytes = 0;
  watcher.on("message", (frame: Buffer) => {
    bytes += frame.byteLength;
  });
  try {
    let first = Number.NaN;
    for (let turn = 1; turn <= TURNS; turn++) {
      bytes = 0;
      using client = new StreamClient(watcher, target, false);
      if ("beginNext" in target) await target.beginNext(asker, conversation, TURN_LOAD);
      else target.begin(asker, TURN_LOAD);
      await client.ended;
      client.check(TURN_LOAD, client);
      // What comes behind the end is a part of the turn.
      if (turn === 1 || turn === TURNS) await pause(SETTLING_MS);
      if (turn === 1) first = bytes;
    }
    return { first, last: bytes };
  } finally {
    asker.terminate();
    watcher.terminate();
  }
}
