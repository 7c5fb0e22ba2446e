import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InProcessGateway } from "../../src/local/in-process-gateway.ts";
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

describe.runIf(hasPython)("what a turn asks for at a terminal (needs python3)", () => {
  const ALLOW = "Allow? [y]es, [N]o, [a]ll write calls of this command, [d]etails (until ";

  /** Resolves once so many prompts to allow something were shown, of which the last is open. */
  async function asks(running: RunningProcess, times = 1): Promise<void> {
    await running.printed(() => screen(running).split(ALLOW).length > times && screen(running).endsWith("): "));
  }

  test("[CLI30] [CLI31] it is asked for, one thing after the other, and goes on", async () => {
    const script = "Write 'a' to a.txt, then append 'b' to a.txt, then ask 'Which colour?'";
    await using run = cli.startAtTerminal(["run", script, "--approve", "ask"]);
    await asks(run);
    expect(screen(run)).toContain('\nAllow write a.txt?\n  path: "a.txt"\n  content: "a"\n');
    expect(readdirSync(cli.filesOf(sessionIn(screen(run))))).toEqual([]);
    // Pasted lines say nothing clear.
    type(run, "y\ry\r");
    await asks(run, 2);
    expect(screen(run)).toContain("\nThat is none of y, n, a and d; an empty line is no.\n");
    type(run, "d\r");
    await asks(run, 3);
    expect(screen(run)).toContain('\n  mode: "overwrite"\n');
    type(run, "a\r");
    await shows(run, "Allow write a.txt? Yes, as all write calls of this command\n");
    await shows(run, "Your answer (until ");
    type(run, "\x1b[200~blue\rand\r");
    type(run, "green\x1b[201~\r");
    expect(await run.outcome()).toBe(0);
    expect(screen(run)).toContain("\nanswered: blue\\u{a}and\\u{a}green\n");
    expect(cli.read(cli.filesOf(sessionIn(screen(run))), "a.txt")).toBe("ab");
  });

  test("[CLI23] [CLI31] what was typed before allows nothing, and an input draws nothing", async () => {
    mkdirSync(join(cli.root, "project"));
    const script = "Write 'x\x1b[2K\x1b[1Ay' to a.txt, then say 'end'";
    await using run = cli.startAtTerminal(["run", script, "--workspace", "project"]);
    // Long before it reads anything.
    type(run, "y\ry");
    await asks(run);
    expect(run.stdout).not.toContain("\x1b[1Ay");
    expect(screen(run)).toContain('  content: "x\\u001b[2K\\u001b[1Ay"\n');
    type(run, "\r");
    expect(await run.outcome()).toBe(0);
    expect(screen(run)).toContain("\nanswered: deny\n");
    expect(readdirSync(join(cli.root, "project"))).toEqual([]);
  });

  test("[CLI33] [CLI35] [CLI32] Ctrl-D leaves it waiting; resume asks again, until somebody else has answered", async () => {
    await using run = cli.startAtTerminal(["run", "Write 'a' to a.txt, then say 'end'", "--approve", "ask"]);
    await asks(run);
    const sessionId = sessionIn(screen(run));
    type(run, CTRL_D);
    expect(await run.outcome()).toBe(4);
    expect(screen(run)).toContain(
      `): \nturnpike: the turn waits for an answer; to go on: turnpike resume ${sessionId}\n`,
    );

    await using resume = cli.startAtTerminal(["resume", sessionId]);
    await asks(resume);
    const answered = await cli.run(["answer", sessionId, "allow"]);
    expect(answered).toMatchObject({ code: 0, stdout: "" });
    expect(answered.stderr).toMatch(/^answered; process \d+ \(turnpike resume\) goes on with it\n$/);
    expect(await resume.outcome()).toBe(0);
    expect(screen(resume)).toMatch(/\): \nanswered: allow\n {2}Created a.txt \(1 bytes\).\nend\ncomplete in /);
  });

  test("[CLI36] [LOCAL5] a run that is killed at its prompt waits, and goes on with the answer", async () => {
    await using run = cli.startAtTerminal(["run", "Write 'a' to a.txt, then say 'end'", "--approve", "ask"]);
    await asks(run);
    const sessionId = sessionIn(screen(run));
    const gateway = new InProcessGateway({ home: cli.home, models: {}, holder: "this test" });
    const [, pid = ""] = /^process (\d+) /.exec(gateway.holderOf(sessionId) ?? "") ?? [];
    await gateway.close();
    process.kill(Number(pid), "SIGKILL");
    await run.ended;
    expect(await cli.run(["answer", sessionId, "allow"])).toMatchObject({ code: 0, stdout: "end" });
    expect(cli.read(cli.filesOf(sessionId), "a.txt")).toBe("a");
  });

  test("[CLI33] Ctrl-C at the prompt cancels the turn", async () => {
    await using run = cli.startAtTerminal(["run", "Ask 'Which?'"]);
    await shows(run, "Your answer (until ");
    type(run, CTRL_C);
    expect(await run.outcome()).toBe(130);
    expect(screen(run)).toContain("): \ncancelling (once more to leave at once)\n");
  });

  test("[CLI31] [CLI24] in a chat it is asked between the messages, and is none of them", async () => {
    await using chat = await startChat(["--approve", "ask"]);
    type(chat, "Ask 'Which?'\rSay 'half'");
    await shows(chat, "Your answer (until ");
    type(chat, "blue\rred\r");
    // What was half typed is there again, and can be ended.
    await chat.printed(() => /complete in .*\n.*> Say 'half'$/.test(screen(chat)));
    type(chat, `\r`);
    await prompts(chat, "\nhalf\n");
    type(chat, `${UP}${UP}\x7f`);
    await chat.printed(() => screen(chat).endsWith("> Ask 'Which?"));
    type(chat, `${CTRL_C}${CTRL_D}`);
    expect(await chat.outcome()).toBe(0);
    expect(screen(chat)).toContain("\nanswered: blue\\u{a}red\n");
    expect(cli.read(cli.home, "history")).toBe("Ask 'Which?'\nSay 'half'\n");
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
