import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildRequest } from "../../src/engine/build-request.ts";
import type { ContentBlock, Message } from "../../src/engine/messages.ts";
import type { ThinkingKind } from "../../src/engine/ports.ts";
import type { RequestMaterial, TranscriptEntry } from "../../src/engine/turn-store.ts";

const KINDS: Record<string, ThinkingKind> = { adaptive: "adaptive", budget: "budget", fast: "adaptive" };
const model = {
  thinking: (name: string) => KINDS[name] ?? "none",
  maxTokens: (name: string) => ({ usual: name.length, highest: 99 }),
  window: (name: string) => (name === "clears" ? { tokens: 1_006, clearsResults: true } : null),
};

const build = (material: Partial<RequestMaterial>) =>
  buildRequest(
    {
      model: "adaptive",
      fastModel: null,
      system: null,
      startsFast: false,
      path: "complex",
      attempt: 1,
      raisedMaxTokens: false,
      makeRoom: false,
      turnId: "turn",
      transcript: [],
      room: { clearedTo: 0, summary: null },
      ...material,
    },
    model,
    [],
  );

const text = (value: string): ContentBlock => ({ type: "text", text: value });
const thinking = (value: string): ContentBlock => ({ type: "thinking", thinking: value, signature: "c2ln" });
const redacted: ContentBlock = { type: "redacted_thinking", data: "b3BhcXVl" };
const use = (id: string): ContentBlock => ({ type: "tool_use", id, name: "list", input: {} });
const result = (id: string, content = "ok"): ContentBlock => ({ type: "tool_result", tool_use_id: id, content });
const ids = { messageId: 1, turnId: "turn" };
const user = (...content: ContentBlock[]): TranscriptEntry => ({
  ...ids,
  role: "user",
  content,
  model: null,
  results: [],
});
const said = (by: string, content: ContentBlock[], results: ContentBlock[] = []): TranscriptEntry => ({
  ...ids,
  role: "assistant",
  content,
  model: by,
  results,
});

/** The messages of one turn, numbered from 1. */
const numbered = (entries: TranscriptEntry[]) => entries.map((entry, i) => ({ ...entry, messageId: i + 1 }));

const messagesOf = (transcript: TranscriptEntry[], material: Partial<RequestMaterial> = {}) =>
  build({ ...material, transcript }).messages;
const roles = (messages: Message[]) => messages.map(({ role }) => role);

describe("messages", () => {
  test("[MODEL1] [MODEL4] blocks stand as they came, and results after their message as one, before the next text", () => {
    const content = [thinking("a"), redacted, text("b"), use("1"), use("2")];
    const transcript = [user(text("go")), said("adaptive", content, [result("1"), result("2")]), user(text("more"))];
    expect(messagesOf(transcript)).toEqual([
      { role: "user", content: [text("go")] },
      { role: "assistant", content },
      { role: "user", content: [result("1"), result("2"), text("more")] },
    ]);
  });

  test("[MODEL2] what is empty is left out", () => {
    const transcript = [user(text("go")), said("adaptive", [text("")]), said("adaptive", []), user(text("again"))];
    expect(messagesOf(transcript)).toEqual([{ role: "user", content: [text("go"), text("again")] }]);
    expect(messagesOf([user(text("go")), said("adaptive", [text("\n\n"), use("1")], [result("1")])])[1]).toEqual({
      role: "assistant",
      content: [use("1")],
    });
  });

  test("[MODEL3] thinking goes to the model that made it, and to no other", () => {
    const content = [thinking("a"), redacted, text("b")];
    const transcript = [user(text("go")), said("adaptive", content), user(text("more"))];
    expect(messagesOf(transcript)[1]?.content).toEqual(content);
    expect(messagesOf(transcript, { model: "other" })[1]?.content).toEqual([text("b")]);
    expect(messagesOf(transcript, { path: "fast", fastModel: "fast" })[1]?.content).toEqual([text("b")]);
  });

  test("[MODEL31] no message of the model's ends in thinking", () => {
    const transcript = [
      user(text("go")),
      said("adaptive", [text("a"), thinking("b"), redacted]),
      user(text("more")),
      said("adaptive", [thinking("c")]),
      user(text("again")),
      said("adaptive", [redacted]),
    ];
    expect(messagesOf(transcript)).toEqual([
      { role: "user", content: [text("go")] },
      { role: "assistant", content: [text("a")] },
      { role: "user", content: [text("more"), text("again")] },
    ]);
    // A paused message goes on, so its thinking is not at the end.
    const paused = [user(text("go")), said("adaptive", [thinking("a")]), said("adaptive", [text("b")])];
    expect(messagesOf(paused)[1]?.content).toEqual([thinking("a"), text("b")]);
  });

  test("[MODEL16] a paused message stands last", () => {
    expect(roles(messagesOf([user(text("go")), said("adaptive", [text("a")])]))).toEqual(["user", "assistant"]);
  });

  const anyText = fc.constantFrom("", "\n", "a").map(text);
  const anyBlock = fc.oneof(anyText, fc.constantFrom(thinking("t"), redacted));
  const anyEntry = fc.oneof(
    anyText.map((block) => user(block)),
    fc
      .tuple(fc.constantFrom("adaptive", "other"), fc.array(anyBlock, { maxLength: 4 }), fc.nat(2))
      .map(([by, blocks, calls]) => {
        const ids = Array.from({ length: calls }, (_, i) => `${i}`);
        return said(
          by,
          [...blocks, ...ids.map(use)],
          ids.map((id) => result(id)),
        );
      }),
  );
  test("[MODEL2] [MODEL4] any transcript makes a request that the API takes, and is itself left as it is", () => {
    fc.assert(
      fc.property(
        fc.array(anyEntry, { maxLength: 8 }),
        fc.nat(9),
        fc.option(fc.string()),
        (any, clearedTo, summary) => {
          const transcript = numbered(any);
          const before = structuredClone(transcript);
          const messages = messagesOf(transcript, { room: { clearedTo, summary } });
          expect(transcript).toEqual(before);
          for (const [i, { role, content }] of messages.entries()) {
            expect(role).not.toBe(messages[i - 1]?.role);
            expect(content.length).toBeGreaterThan(0);
            expect(content.some((block) => block.type === "text" && block["text"] === "")).toBe(false);
            if (role === "assistant") expect(content.at(-1)?.type).not.toMatch(/thinking/);
            const uses = content.filter(({ type }) => type === "tool_use").map((block) => block["id"]);
            const next = messages[i + 1]?.content.slice(0, uses.length).map((block) => block["tool_use_id"]);
            if (uses.length > 0) expect(next).toEqual(uses);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

describe("room", () => {
  const step = (id: string) => said("adaptive", [use(id)], [result(id, `result ${id}`)]);
  const transcript = numbered([user(text("go")), step("1"), step("2"), user(text("more")), step("3"), step("4")]);
  const contents = (messages: Message[]) =>
    messages.flatMap(({ content }) =>
      content.filter(({ type }) => type === "tool_result").map((block) => block["content"]),
    );

  test("[ROOM1] results that were cleared say so, and all other blocks stand as they were", () => {
    const whole = messagesOf(transcript);
    expect(contents(whole)).toEqual(["result 1", "result 2", "result 3", "result 4"]);
    const cleared = expect.stringContaining("cleared");
    const less = messagesOf(transcript, { room: { clearedTo: 3, summary: null } });
    expect(contents(less)).toEqual([cleared, cleared, "result 3", "result 4"]);
    const rest = (messages: Message[]) =>
      messages.map(({ content }) => content.map((block) => ({ ...block, content: "" })));
    expect(rest(less)).toEqual(rest(whole));
  });

  test("[ROOM4] a summary stands first, as the user's, ahead of what follows it", () => {
    const [first, second] = messagesOf(transcript.slice(3), { room: { clearedTo: 0, summary: "They went." } });
    expect(first).toEqual({
      role: "user",
      content: [text("Summary of the conversation so far:\nThey went."), text("more")],
    });
    expect(second?.content).toEqual([use("3")]);
  });

  test("[ROOM8] a server that clears is told below the window to keep the results of the last two messages", () => {
    const request = build({ model: "clears", transcript });
    expect(request.clearing).toEqual({ trigger: 800, keep: 2 });
    expect(build({ model: "clears", transcript: transcript.slice(0, 3) }).clearing).toBeUndefined();
    expect(build({ model: "adaptive", transcript }).clearing).toBeUndefined();
  });
});

describe("what else is asked", () => {
  test.for<[rule: string, material: Partial<RequestMaterial>, asked: { model: string; thinking: boolean }]>([
    ["MODEL21", {}, { model: "adaptive", thinking: true }],
    ["MODEL21", { model: "budget" }, { model: "budget", thinking: true }],
    ["MODEL21", { model: "plain" }, { model: "plain", thinking: false }],
    ["TURN7", { fastModel: "fast", startsFast: true, path: "fast" }, { model: "fast", thinking: false }],
    ["TURN7", { fastModel: "fast", startsFast: true }, { model: "adaptive", thinking: true }],
    ["TURN7", { model: "budget", fastModel: "fast", startsFast: true }, { model: "budget", thinking: false }],
    ["TURN7", { model: "budget", fastModel: "fast" }, { model: "budget", thinking: true }],
  ])("[%s] of %o it is %o", ([, material, asked]) => {
    expect(build(material)).toMatchObject(asked);
  });

  test("[MODEL15] a raised limit is the model's highest", () => {
    expect([build({}).max_tokens, build({ raisedMaxTokens: true }).max_tokens]).toEqual([8, 99]);
  });

  test("[SESSION10] a session's system prompt stands after the gateway's own", () => {
    const own = build({}).system;
    expect(own).toContain("work_products/");
    expect(build({ system: "Be brief." }).system).toBe(`${own}\n\nBe brief.`);
  });
});
