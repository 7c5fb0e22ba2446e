import { describe, expect, test } from "vitest";
import { cancel } from "../../src/cli/commands/cancel.ts";
import { files } from "../../src/cli/commands/files.ts";
import { resume } from "../../src/cli/commands/resume.ts";
import { rm } from "../../src/cli/commands/rm.ts";
import { sessions } from "../../src/cli/commands/sessions.ts";
import { portSetting, type Sources, setting } from "../../src/cli/settings.ts";
import { parseTurnFlags } from "../../src/cli/turn-flags.ts";

const sources: Sources = { env: { PORT: "1", EMPTY: "" }, devVars: { PORT: "2", EMPTY: "file", ONLY: "file" } };

describe("settings", () => {
  test("[CLI4] a flag goes before the environment, that before .dev.vars", () => {
    expect(setting("PORT", "0", sources)).toBe("0");
    expect(setting("PORT", undefined, sources)).toBe("1");
    expect(setting("EMPTY", undefined, sources)).toBe("file");
    expect(setting("ONLY", undefined, sources)).toBe("file");
    expect(setting("NONE", undefined, sources)).toBeUndefined();
    expect(setting("PORT", undefined, { env: {}, devVars: null })).toBeUndefined();
  });

  test("[START4] the port is a number from 0 to 65535, by default 8787", () => {
    expect(portSetting(undefined, { env: {}, devVars: null })).toBe(8787);
    expect(portSetting("0", sources)).toBe(0);
    for (const bad of ["", "x", "-1", "1.5", "65536", "1e3", " 1"]) {
      expect(() => portSetting(bad, sources)).toThrow(`--port must be a number from 0 to 65535, not "${bad}".`);
    }
    expect(() => portSetting(undefined, { env: { PORT: "no" }, devVars: null })).toThrow(/^PORT must be/);
  });
});

describe("flags", () => {
  test("[CLI4] say which session, which model and how", () => {
    expect(parseTurnFlags(["hi", "--model", "demo", "--force-complex", "--on-busy", "reject", "--json"])).toMatchObject(
      {
        model: "demo",
        json: true,
        thinking: false,
        message: { force_complex: true, on_busy: "reject" },
        positionals: ["hi"],
      },
    );
  });

  test("[CLI4] --no-fallback is for those that may begin a session, and refused by others", async () => {
    expect(parseTurnFlags(["hi", "--no-fallback"])).toMatchObject({ noFallback: true });
    const nowhere = ["--gateway-url", "nowhere"];
    const refused = expect.objectContaining({ message: "Unknown option '--no-fallback'", exitCode: 2 });
    for (const command of [sessions, resume, cancel, rm]) {
      await expect(command(["--no-fallback", ...nowhere])).rejects.toEqual(refused);
    }
    for (const action of ["ls", "get", "put"])
      await expect(files([action, "--no-fallback", ...nowhere])).rejects.toEqual(refused);
  });

  test.each([
    [["--permissions", "x"], "Unknown option '--permissions'"],
    [["--on-busy", "wait"], '--on-busy must be one of enqueue, reject, interrupt, steer, not "wait".'],
    [["--session"], "Option '--session <value>' argument missing"],
    [["--session", "s", "--model", "m"], "--model is for a new session; it does not go with --session."],
  ])("[CLI3] %j is wrong usage, told in one line", (args, message) => {
    expect(() => parseTurnFlags(args)).toThrow(expect.objectContaining({ message, exitCode: 2 }));
  });
});
