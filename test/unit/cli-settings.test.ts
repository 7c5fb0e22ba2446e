import { describe, expect, test } from "vitest";
import { gatewayAddress, portSetting, type Sources, setting } from "../../src/cli/settings.ts";
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

  test("[CLI5] without an address it is the gateway that npm start runs, with its token", () => {
    expect(gatewayAddress({}, { env: {}, devVars: { GATEWAY_TOKEN: "t" } })).toEqual({
      baseUrl: "http://127.0.0.1:8787",
      token: "t",
      local: true,
    });
    expect(gatewayAddress({}, { env: { PORT: "9" }, devVars: { GATEWAY_TOKEN: "t" } }).baseUrl).toBe(
      "http://127.0.0.1:9",
    );
    expect(() => gatewayAddress({}, { env: {}, devVars: null })).toThrow(/npm start$/);
  });

  test("[CLI4] address and token come from the flags, the environment or .dev.vars", () => {
    const env = { TURNPIKE_GATEWAY_URL: "https://e", TURNPIKE_TOKEN: "e", GATEWAY_TOKEN: "g" };
    const devVars = { TURNPIKE_GATEWAY_URL: "https://f", TURNPIKE_TOKEN: "f" };
    expect(gatewayAddress({ gatewayUrl: "http://x", token: "x" }, { env, devVars })).toEqual({
      baseUrl: "http://x",
      token: "x",
      local: false,
    });
    expect(gatewayAddress({}, { env, devVars })).toMatchObject({ baseUrl: "https://e", token: "e" });
    expect(gatewayAddress({}, { env: {}, devVars })).toMatchObject({ baseUrl: "https://f", token: "f" });
    expect(gatewayAddress({}, { env: { GATEWAY_TOKEN: "g" }, devVars })).toMatchObject({ token: "f" });
  });

  test("[CLI3] an address or a token that cannot be one is wrong usage", () => {
    const failure = (flags: { gatewayUrl?: string; token?: string }) => {
      try {
        gatewayAddress(flags, { env: {}, devVars: null });
      } catch (thrown) {
        return thrown;
      }
      return null;
    };
    expect(failure({ gatewayUrl: "ftp://x", token: "t" })).toMatchObject({ exitCode: 2 });
    expect(failure({ gatewayUrl: "x", token: "t" })).toMatchObject({ exitCode: 2 });
    expect(failure({ gatewayUrl: "http://x", token: "a b" })).toMatchObject({ exitCode: 2 });
    expect(failure({ gatewayUrl: "http://x" })).toMatchObject({ exitCode: 2 });
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

  test.each([
    [["--approve", "ask"], "Unknown option '--approve'"],
    [["--workspace", "x"], "Unknown option '--workspace'"],
    [["--on-busy", "steer"], '--on-busy must be enqueue or reject, not "steer".'],
    [["--session"], "Option '--session <value>' argument missing"],
    [["--session", "s", "--model", "m"], "--model is for a new session; it does not go with --session."],
  ])("[CLI3] %j is wrong usage, told in one line", (args, message) => {
    expect(() => parseTurnFlags(args)).toThrow(expect.objectContaining({ message, exitCode: 2 }));
  });
});
