import fc from "fast-check";
import { expect, it } from "vitest";
import {
  type BlockSpec,
  block,
  encodeReply,
  inPieces,
  message,
  redactedThinking,
  text,
  thinking,
  toolUse,
} from "../support/messages-script.ts";
import { blockOf, createClaudeScene, dataOf } from "./claude-scene.ts";

/** As JSON has it: without -0 and the like. */
const json = (value: unknown) => JSON.parse(JSON.stringify(value));

const anyText = fc.string({ unit: "grapheme", maxLength: 20 }).map((value) => `${value}.`);
const anyStep = fc.integer({ min: 1, max: 9 });
/** Any but the one that JavaScript has of its own, which the schemas leave out. */
const anyKey = fc.string().filter((key) => key !== "__proto__");
const anyFields = fc.dictionary(anyKey, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }).map(json);
const anyId = fc.uuid();

const anyBlock: fc.Arbitrary<BlockSpec> = fc.oneof(
  fc.tuple(anyText, anyStep).map(([value, step]) => text(value, step)),
  fc.constant(text("")),
  fc.tuple(anyText, anyStep).map(([value, step]) => thinking(value, btoa(String(step)), step)),
  fc.base64String().map(redactedThinking),
  fc
    .tuple(anyId, fc.constantFrom("list", "read", "no_such_tool"), anyFields, anyStep)
    .map(([id, name, input, step]) => toolUse(id, name, input, step)),
  fc.tuple(anyId, anyFields).map(([id, input]) => block({ type: "server_tool_use", id, name: "web_search", input })),
  anyFields.map((fields) => block({ ...fields, type: "a_type_yet_to_come" })),
);

const anyMessage = fc
  .record({
    blocks: fc.array(anyBlock, { maxLength: 8 }),
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
  })
  .map(({ blocks, cuts }) => {
    const reply = message(blocks);
    const length = encodeReply(reply).length;
    const offsets = new Set(cuts.map((cut) => Math.floor(cut * length)));
    return {
      blocks: blocks.map(blockOf),
      reply: inPieces(
        reply,
        [...offsets].toSorted((a, b) => a - b),
      ),
    };
  });

it("[MODEL1] [MODEL4] [MODEL19] [TOOL2] any message, its bytes cut anywhere, goes back as it was sent, with a result for each call", async () => {
  await fc.assert(
    fc.asyncProperty(anyMessage, async ({ blocks, reply }) => {
      const { run, log, claude } = await createClaudeScene([reply, message([text("Done.")]), message([])]);
      expect(await run("One")).toMatchObject({ status: "complete" });
      expect(await run("Two")).toMatchObject({ status: "complete" });

      const full = blocks.filter((sentBlock) => sentBlock["type"] !== "text" || sentBlock["text"] !== "");
      // The API takes no message that ends in thinking.
      const sent = full.slice(0, full.findLastIndex(({ type }) => !String(type).endsWith("thinking")) + 1);
      const calls = blocks.filter(({ type }) => type === "tool_use");
      const requests = await claude.requests();
      const messages = requests.at(-1)?.body.messages ?? [];
      expect(messages.flatMap(({ role, content }) => (role === "assistant" ? content : []))).toEqual([
        ...sent,
        ...(calls.length > 0 ? [{ type: "text", text: "Done." }] : []),
      ]);
      const [, , next] = messages;
      if (calls.length > 0) expect(next?.content).toMatchObject(calls.map(({ id }) => ({ tool_use_id: id })));

      const events = await log();
      const said = blocks.flatMap((sentBlock) => (sentBlock["type"] === "text" ? [sentBlock["text"]] : []));
      expect(
        dataOf(events, "TEXT")
          .map((data) => data.text)
          .join("")
          .replace(/Done\.$/, ""),
      ).toBe(said.join(""));
      const ours = dataOf(events, "TOOL_CALL").filter(({ executor }) => executor === "gateway");
      expect(ours).toMatchObject(calls.map(({ id, name, input }) => ({ id, name, input })));
      expect(dataOf(events, "TOOL_RESULT").map(({ tool_use_id }) => tool_use_id)).toEqual(calls.map(({ id }) => id));
    }),
    { numRuns: 25 },
  );
}, 60_000);
