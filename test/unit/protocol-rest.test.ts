import fc from "fast-check";
import { expect, test } from "vitest";
import { createSessionBody, patchSessionBody, submitTurnBody } from "../../src/protocol/rest.ts";

test("[SESSION2] a session needs nothing and takes these fields", () => {
  expect(createSessionBody.parse({})).toEqual({});
  expect(Object.keys(createSessionBody.shape).sort()).toEqual([
    "budget",
    "fast_model",
    "input_default",
    "input_timeout_seconds",
    "loosen_permissions",
    "max_iterations",
    "metadata",
    "model",
    "permissions",
    "system",
    "title",
    "tools",
    "user_id",
    "workspace_dir",
  ]);
});

test("[SESSION10] a patch takes these fields, and null clears four of them", () => {
  expect(Object.keys(patchSessionBody.shape).sort()).toEqual([
    "budget",
    "fast_model",
    "input_default",
    "input_timeout_seconds",
    "loosen_permissions",
    "metadata",
    "model",
    "permissions",
    "system",
    "title",
  ]);
  const cleared = { title: null, fast_model: null, system: null, budget: null };
  expect(patchSessionBody.parse(cleared)).toEqual(cleared);
  expect(patchSessionBody.safeParse({ model: null }).success).toBe(false);
});

test("[REST8] a turn needs a user_input", () => {
  expect(submitTurnBody.parse({ user_input: "Hi" })).toEqual({ user_input: "Hi" });
  expect(submitTurnBody.safeParse({}).success).toBe(false);
});

test.for<[string, unknown]>([
  ["mcp_servers", []],
  ["skills", ["pdf"]],
  ["permissions", { write: "maybe" }],
  ["permissions", { "a b": "ask" }],
  ["budget", { pages: 1 }],
  ["input_default", "ask"],
  ["input_timeout_seconds", 0],
  ["colour", "red"],
])("[REST2] [REST17] a session with %s is refused", ([field, value]) => {
  expect(createSessionBody.safeParse({ [field]: value }).success).toBe(false);
  expect(patchSessionBody.safeParse({ [field]: value }).success).toBe(false);
});

test("[REST11] on_busy is enqueue, reject, interrupt or steer", () => {
  const busy = (on_busy: string) => submitTurnBody.safeParse({ user_input: "Hi", on_busy }).success;
  expect(["enqueue", "reject", "interrupt", "steer", ""].map(busy)).toEqual([true, true, true, true, false]);
});

test("[SESSION15] the limits of a session's fields", () => {
  const taken = (body: unknown) => createSessionBody.safeParse(body).success;
  const ends: [unknown, unknown][] = [
    [{ title: "t".repeat(200) }, { title: "t".repeat(201) }],
    [{ system: "s".repeat(100_000) }, { system: "s".repeat(100_001) }],
    [{ model: "m".repeat(128) }, { model: "m".repeat(129) }],
    [{ model: "m" }, { model: "" }],
    [{ user_id: "u".repeat(128) }, { user_id: "u".repeat(129) }],
    [{ user_id: "Ada Ünal" }, { user_id: "a\u0000b" }],
    [{ max_iterations: 1 }, { max_iterations: 0 }],
    [{ max_iterations: 1_000 }, { max_iterations: 1_001 }],
    [{ metadata: { a: "m".repeat(16_376) } }, { metadata: { a: "m".repeat(16_377) } }],
    [{ metadata: { a: "é".repeat(8_188) } }, { metadata: { a: "é".repeat(8_189) } }],
  ];
  for (const [within, beyond] of ends) {
    expect(taken(within), JSON.stringify(within).slice(0, 40)).toBe(true);
    expect(taken(beyond), JSON.stringify(beyond).slice(0, 40)).toBe(false);
  }
});

test("[ID7] any string from outside becomes well-formed, and one that is stays as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom("", "\ud800", "\udc00"), (start, end) => {
      const text = start + end;
      const { user_input, metadata } = submitTurnBody.parse({
        user_input: text,
        metadata: { [`key ${text}`]: { deep: [text] } },
      });
      const expected = text.toWellFormed();
      expect(user_input).toBe(expected);
      expect(metadata).toEqual({ [`key ${expected}`]: { deep: [expected] } });
    }),
  );
});
