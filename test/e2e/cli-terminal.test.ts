import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CommandLine, sessionIn } from "../support/command-line.ts";
import type { RunningProcess } from "../support/run-process.ts";
import { serveHttp } from "../support/serve-http.ts";

const CTRL_C = "\x03";
const CTRL_D = "\x04";
const UP = "\x1b[A";

let cli: CommandLine;
beforeEach(() => {
  cli = new CommandLine({ NO_COLOR: "1", TERM: "xterm" });
});
afterEach(() => cli[Symbol.dispose]());

/** What is on the terminal, without what moves its cursor. */
const screen = ({ stdout }: RunningProcess) => stripVTControlCharacters(stdout).replaceAll("\r", "");

/** Resolves once the terminal shows a text so many times. */
async function shows(running: RunningProcess, text: string, times = 1): Promise<void> {
  await running.printed(() => screen(running).split(text).length > times);
}

/** Resolves once it shows a text, and waits for a line. */
async function prompts(running: RunningProcess, after = ""): Promise<void> {
  await running.printed(() => {
    const shown = screen(running);
    const from = shown.lastIndexOf(after);
    return from >= 0 && shown.endsWith("> ");
  });
}

function type(running: RunningProcess, text: string): void {
  running.child.stdin?.write(text);
}

/** A chat that waits at its prompt. */
async function startChat(args: string[] = []): Promise<RunningProcess> {
  const chat = cli.startAtTerminal(["chat", ...args]);
  await prompts(chat);
  return chat;
}

const hasPython = spawnSync("python3", ["-c", "import pty"]).status === 0;

describe.runIf(hasPython)("turnpike chat at a terminal (needs python3)", () => {
  test("[CLI7] [CLI24] lines can be edited, and earlier ones come back, in the next chat too", async () => {
    await using chat = await startChat();
    type(chat, "Say 'onx'\x7f\x7fe'\r");
    await prompts(chat, "complete in ");
    expect(screen(chat)).toContain("\none\ncomplete in ");
    type(chat, "exit\r");
    expect(await chat.outcome()).toBe(0);
    expect(cli.read(cli.home, "history")).toBe("Say 'one'\n");

    await using next = await startChat(["--session", sessionIn(screen(chat))]);
    type(next, `${UP}\r`);
    await prompts(next, "complete in ");
    expect(screen(next)).toContain("\none\ncomplete in ");
    type(next, CTRL_D);
    expect(await next.outcome()).toBe(0);
  });

  test("[CLI25] Ctrl-C cancels the turn that runs, and the chat goes on", async () => {
    await using chat = await startChat();
    type(chat, "Wait 60 seconds\r");
    await shows(chat, "wait {");
    type(chat, CTRL_C);
    await prompts(chat, "\ncancelled in ");
    type(chat, "Say 'still here'\r");
    await prompts(chat, "\nstill here\n");
    type(chat, CTRL_D);
    expect(await chat.outcome()).toBe(0);
  });

  test("[CLI25] at the prompt Ctrl-C clears what was typed; at an empty one the second leaves", async () => {
    await using chat = await startChat();
    type(chat, `Say 'never'${CTRL_C}`);
    await shows(chat, "\n> ", 2);
    type(chat, CTRL_C);
    await shows(chat, "(to leave: once more, or Ctrl-D)");
    type(chat, "Say 'on'\r");
    await prompts(chat, "complete in ");
    type(chat, CTRL_C);
    await shows(chat, "(to leave: once more, or Ctrl-D)", 2);
    type(chat, CTRL_C);
    expect(await chat.outcome()).toBe(0);
    expect(screen(chat)).not.toContain("\nnever");
    expect(screen(chat)).toContain("\non\n");
  });

  test("[CLI21] rm asks", async () => {
    const sessionId = sessionIn((await cli.run(["run", "Say 'x'"])).stderr);
    for (const [answer, code] of [
      ["n\r", 130],
      [CTRL_D, 130],
      ["y\r", 0],
    ] as const) {
      expect(cli.sessions).toEqual([sessionId]);
      await using rm = cli.startAtTerminal(["rm", sessionId]);
      await shows(rm, `Delete ${sessionId} (Say 'x') with its files? [y/N] `);
      type(rm, answer);
      expect(await rm.outcome()).toBe(code);
    }
    expect(cli.sessions).toEqual([]);
  });

  test("[CLI22] [CLI23] files get shows text without what the terminal would obey, and nothing else", async () => {
    const sessionId = sessionIn((await cli.run(["run", "Write 'a\x1b[2Jb' to a.txt"])).stderr);
    await cli.run(["files", "put", sessionId, "-", "nul.bin"], { input: "a\0b" });
    await using text = cli.startAtTerminal(["files", "get", sessionId, "a.txt"]);
    expect(await text.outcome()).toBe(0);
    expect(text.stdout).toBe("a[2Jb");
    await using binary = cli.startAtTerminal(["files", "get", sessionId, "nul.bin"]);
    expect(await binary.outcome()).toBe(2);
    expect(binary.stdout).toBe("turnpike: The file is no text; write it with -o FILE.\r\n");
  });
});

describe("a second interrupt", () => {
  test("[CLI25] leaves at once and says how to go on", async () => {
    const sessionId = "session_00000000000000000000000000";
    // Makes a session, and then nothing: the first interrupt finds no turn to cancel.
    await using gateway = await serveHttp((_request, response) => {
      const at = "2026-01-31T12:00:00.000Z";
      const made = { session_id: sessionId, user_id: "me", workspace_dir: "x", model: "demo", metadata: {} };
      const state = {
        title: null,
        status: "idle",
        last_seq: 0,
        active_turn: null,
        queued_turns: [],
        pending_inputs: [],
      };
      response.end(JSON.stringify({ ...made, ...state, created_at: at, updated_at: at }));
    });
    const asked = once(gateway.server, "upgrade");
    await using run = cli.start(["run", "Say 'x'", "--gateway-url", gateway.baseUrl, "--token", "t"]);
    const [, socket] = await asked;
    run.child.kill("SIGINT");
    await run.printed(({ stderr }) => stderr.endsWith("cancelling (once more to leave at once)\n"));
    run.child.kill("SIGINT");
    expect(await run.outcome()).toBe(130);
    expect(run.stderr).toMatch(new RegExp(`\nleft before its end; to go on: turnpike resume ${sessionId}\n$`));
    socket.destroy();
  });
});
