import { describe, expect, test } from "vitest";
import { checkDirect, chooseGateway, type PlaceFlags } from "../../src/cli/choose-gateway.ts";
import type { Sources } from "../../src/cli/settings.ts";

const NOTHING: Sources = { env: {}, devVars: null };
const REMOTE: Sources = { env: { TURNPIKE_GATEWAY_URL: "https://e", TURNPIKE_TOKEN: "t" }, devVars: null };

describe("where the sessions are", () => {
  test("[CLI5] without an address they are in this process, whatever tokens there are", () => {
    expect(chooseGateway({}, NOTHING)).toEqual({ kind: "in-process" });
    const env = { TURNPIKE_TOKEN: "t", TURNPIKE_GATEWAY_URL: "" };
    expect(chooseGateway({}, { env, devVars: { GATEWAY_TOKEN: "g", PORT: "9" } })).toEqual({ kind: "in-process" });
    expect(chooseGateway({ noFallback: true, approve: "allow" }, NOTHING)).toEqual({ kind: "in-process" });
    for (const approve of ["ask", "allow", "deny", undefined]) {
      expect(chooseGateway({ workspace: "x", approve }, NOTHING)).toEqual({ kind: "in-process" });
    }
  });

  test("[CLI4] address and token come from the flags, the environment or .dev.vars", () => {
    const env = { TURNPIKE_GATEWAY_URL: "https://e/", TURNPIKE_TOKEN: "e", GATEWAY_TOKEN: "g" };
    const devVars = { TURNPIKE_GATEWAY_URL: "https://f:81/under", TURNPIKE_TOKEN: "f" };
    expect(chooseGateway({ gatewayUrl: "http://x", token: "x" }, { env, devVars })).toEqual({
      kind: "remote",
      baseUrl: "http://x",
      token: "x",
      mayFallBack: true,
    });
    expect(chooseGateway({}, { env, devVars })).toMatchObject({ baseUrl: "https://e", token: "e" });
    expect(chooseGateway({}, { env: {}, devVars })).toMatchObject({ baseUrl: "https://f:81/under", token: "f" });
    expect(chooseGateway({}, { env: { GATEWAY_TOKEN: "g" }, devVars })).toMatchObject({ token: "f" });
    expect(chooseGateway({ gatewayUrl: "http://x" }, { env: { GATEWAY_TOKEN: "g" }, devVars: null })).toMatchObject({
      token: "g",
    });
  });

  test.each([
    "http://127.0.0.1:8787",
    "http://127.1",
    "http://[::1]:1/under",
    "http://LOCALHOST:8787",
    "https://localhost",
  ])("[CLI27] the gateway's own token of .dev.vars goes to this machine: %s", (gatewayUrl) => {
    const devVars = { GATEWAY_TOKEN: "own" };
    expect(chooseGateway({ gatewayUrl }, { env: {}, devVars })).toMatchObject({ token: "own" });
    expect(chooseGateway({ gatewayUrl }, { env: { GATEWAY_TOKEN: "env" }, devVars })).toMatchObject({ token: "env" });
  });

  test.each([
    "http://example.com",
    "https://127.0.0.1.example.com",
    "http://localhost.example.com",
    "http://10.0.0.1",
    "http://0.0.0.0",
  ])("[CLI27] and to no other: %s", (gatewayUrl) => {
    const devVars = { GATEWAY_TOKEN: "own" };
    expect(() => chooseGateway({ gatewayUrl }, { env: {}, devVars })).toThrow(
      wrong("A token is needed: --token, TURNPIKE_TOKEN or GATEWAY_TOKEN; the one in .dev.vars is this machine's."),
    );
    expect(() => chooseGateway({}, { env: { TURNPIKE_GATEWAY_URL: gatewayUrl }, devVars })).toThrow(
      wrong(/is this machine's\.$/),
    );
    expect(chooseGateway({ gatewayUrl }, { env: { GATEWAY_TOKEN: "env" }, devVars })).toMatchObject({ token: "env" });
    expect(chooseGateway({ gatewayUrl, token: "t" }, { env: {}, devVars })).toMatchObject({ token: "t" });
    expect(chooseGateway({ gatewayUrl }, { env: {}, devVars: { ...devVars, TURNPIKE_TOKEN: "client" } })).toMatchObject(
      {
        token: "client",
      },
    );
  });

  test("[CLI12] only a new session may begin elsewhere, unless --no-fallback", () => {
    expect(chooseGateway({}, REMOTE)).toMatchObject({ mayFallBack: true });
    expect(chooseGateway({ noFallback: true }, REMOTE)).toMatchObject({ mayFallBack: false });
    expect(chooseGateway({ session: "s" }, REMOTE)).toMatchObject({ mayFallBack: false });
  });

  test("[CLI9] --use-gateway is the one that npm start runs, with its own token, whatever the environment names", () => {
    expect(chooseGateway({ useGateway: true }, REMOTE)).toEqual({
      kind: "local-gateway",
      baseUrl: "http://127.0.0.1:8787",
      token: undefined,
    });
    const sources = { env: { PORT: "9", TURNPIKE_TOKEN: "other" }, devVars: { GATEWAY_TOKEN: "own" } };
    expect(chooseGateway({ useGateway: true, session: "s" }, sources)).toEqual({
      kind: "local-gateway",
      baseUrl: "http://127.0.0.1:9",
      token: "own",
    });
    expect(chooseGateway({ useGateway: true, token: "x" }, sources)).toMatchObject({ token: "x" });
  });

  test("[CLI16] --direct goes before what the environment names", () => {
    expect(() => checkDirect({})).not.toThrow();
    expect(() => checkDirect({ workspace: "x", approve: "allow" })).not.toThrow();
  });
});

const wrong = (message: string | RegExp) =>
  expect.objectContaining({
    exitCode: 2,
    message: typeof message === "string" ? message : expect.stringMatching(message),
  });

test.each<[PlaceFlags, string | RegExp, Sources?]>([
  [{ gatewayUrl: "ftp://x", token: "t" }, /must begin with http/],
  [{ gatewayUrl: "x", token: "t" }, /must begin with http/],
  [{ gatewayUrl: "", token: "t" }, /must begin with http/],
  [{ gatewayUrl: "http://me:secret@x", token: "t" }, "The gateway's address must hold no user."],
  [{ gatewayUrl: "http://x/?a=b", token: "t" }, /must end with its path/],
  [{ gatewayUrl: "http://x", token: "a b" }, "The token must consist of visible ASCII characters."],
  [{ gatewayUrl: "http://x" }, /^A token is needed/],
  [{ token: "t" }, "--token is for a gateway: name one with --gateway-url."],
  [{ useGateway: true, gatewayUrl: "http://x" }, "--use-gateway does not go with --gateway-url."],
  [{ useGateway: true }, /PORT/, { env: { PORT: "0" }, devVars: null }],
  [{ approve: "maybe" }, '--approve must be ask, allow or deny, not "maybe".'],
  [{ workspace: "x", approve: "allow", session: "s" }, "--workspace does not go with --session."],
  [{ workspace: "x", approve: "allow", useGateway: true }, "--workspace does not go with --use-gateway."],
  [{ workspace: "x", approve: "allow", gatewayUrl: "http://x", token: "t" }, /does not go with --gateway-url\.$/],
  [{ workspace: "x", approve: "allow" }, /does not go with TURNPIKE_GATEWAY_URL\.$/, REMOTE],
])("[CLI10] %j is wrong usage: %s", (flags, message, sources = NOTHING) => {
  expect(() => chooseGateway(flags, sources)).toThrow(wrong(message));
});

test.each<[PlaceFlags, string]>([
  [{ session: "s" }, "--direct does not go with --session."],
  [{ useGateway: true }, "--direct does not go with --use-gateway."],
  [{ gatewayUrl: "http://x" }, "--direct does not go with --gateway-url."],
  [{ token: "x" }, "--direct does not go with --token."],
  [{ noFallback: true }, "--direct does not go with --no-fallback."],
  [{ workspace: "x" }, "--direct --workspace DIR needs --approve allow: nobody is asked before each write there."],
  [{ approve: "ask" }, "--direct does not go with --approve ask: nobody is asked for anything there."],
  [{ approve: "deny" }, "--direct does not go with --approve deny: nobody is asked for anything there."],
  [{ approve: "" }, '--approve must be ask, allow or deny, not "".'],
])("[CLI10] --direct with %j is wrong usage: %s", (flags, message) => {
  expect(() => checkDirect(flags)).toThrow(wrong(message));
});
