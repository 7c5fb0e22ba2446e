import { inspect } from "node:util";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { describeError, hideFromLog } from "../../src/logging/describe-error.ts";
import { lineText, parseLine } from "../../src/logging/line-text.ts";
import { log, logError, writeLinesTo, writeToConsole } from "../../src/logging/log.ts";
import { LOG_FRAMES_MAX, LOG_LINE_MAX_CHARS, LOG_MESSAGE_MAX_CHARS } from "../../src/protocol/limits.ts";

const messageOf = (message: string) => describeError(new Error(message)).message;

/** What `JSON.parse` says of it, which repeats a part. */
function parseFailure(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    return thrown;
  }
}

test("[SEE4] an error's message is its words: what is quoted, an address and whatever is as long as a key are left out", () => {
  expect(messageOf("Network connection lost.")).toBe("Network connection lost.");
  expect(messageOf("D1_ERROR: no such table: tokens: SQLITE_ERROR")).toBe(
    "D1_ERROR: no such table: tokens: SQLITE_ERROR",
  );
  expect(messageOf('refused "my secret" here')).toBe("refused […] here");
  expect(messageOf('a "piece" of "two"')).toBe("a […]");
  expect(messageOf('unclosed "my secret')).toBe("unclosed […]");
  expect(messageOf("can't read properties of undefined (reading 'secret')")).toBe(
    "can't read properties of undefined (reading […])",
  );
  expect(messageOf("it's `secret`")).toBe("it's […]");
  expect(messageOf("fetch of https://host/answer/x?ticket=secret failed")).toBe("fetch of […] failed");
  expect(messageOf("Authorization: Bearer abc is wrong")).toBe("Authorization: Bearer […] is wrong");
  expect(messageOf(`key sk-ant-${"x".repeat(20)}= refused`)).toBe("key […] refused");
  expect(messageOf("one\n    at two (three:1:2)\u001b[31m")).toBe("one at two (three:1:2) [31m");
  expect(messageOf("word ".repeat(1_000)).length).toBe(LOG_MESSAGE_MAX_CHARS);
  expect(describeError(parseFailure('{"said": my secret words "and" more')).message).not.toMatch(
    /secret|words|more|said/,
  );
});

test("[SEE4] what is thrown and is no error, an odd name and an odd code show nothing", () => {
  expect(describeError({ toString: () => "secret" })).toEqual({ name: "object", message: "" });
  expect(describeError('a "secret" text')).toEqual({ name: "string", message: "a […] text" });
  expect(describeError(undefined)).toEqual({ name: "undefined", message: "" });
  const odd = Object.assign(new Error("x"), { name: "my secret", code: "my secret" });
  expect(describeError(odd)).toEqual({ name: "Error", message: "x", stack: expect.any(String) });
  const caused = new TypeError("outer", { cause: Object.assign(new Error('of "secret"'), { code: "E_INNER" }) });
  expect(describeError(caused)).toMatchObject({ name: "TypeError", message: "outer", cause: "Error: of […]" });
});

test("[SEE4] of a stack only the places stay, whatever the message looks like", () => {
  const error = new Error("my secret\n    at secret (my-secret:1:2)\n    at more");
  const { stack } = describeError(error);
  expect(stack).toMatch(/^ {4}at /);
  expect(stack).toContain("logging.test.ts");
  expect(stack).not.toContain("secret");
  expect(describeError(Object.assign(new Error("x"), { stack: "my secret" })).stack).toBeUndefined();
});

test("[SEE4] the gateway's own secrets are left out, however short", () => {
  hideFromLog(["a+b/c", undefined, ""]);
  expect(messageOf("given a+b/c and a%2Bb%2Fc")).toBe("given […] and […]");
});

/** With what marks end quotes and words, only of letters, and one that holds another. */
const SECRETS = [
  "s3cr3t!A-very@long#key$with%odd^chars",
  "Zm9 'of' \"two\" lines\nof a k3y (place:1:2)",
  "k1_of_letters_alone",
  "k1_of_letters_alone-and&then*some@more",
  "q7/short!",
];
/** What may stand before it, so that it lies near the place where its text is cut, or where words are masked. */
const CUTS = [0, LOG_MESSAGE_MAX_CHARS, 4 * LOG_MESSAGE_MAX_CHARS, LOG_LINE_MAX_CHARS, LOG_FRAMES_MAX * 1_000];
const PADS: readonly ((chars: number) => string)[] = [
  (chars) => "word ".repeat(chars).slice(0, chars),
  (chars) => `"${"x".repeat(Math.max(0, chars - 3))}" `,
  (chars) => "\n    at f (x:1:2)".repeat(chars / 16 + 1).slice(0, chars),
];

const stringsIn = (value: unknown): string[] =>
  typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [String(value)];

test("[SEE4] no part of a secret is shown, wherever it lies in a field that is read or shown in part", () => {
  hideFromLog(SECRETS);
  const lines: object[] = [];
  const before = writeLinesTo((line) => lines.push(line));
  onTestFinished(() => void writeLinesTo(before));
  const anySecret = fc.tuple(fc.constantFrom(...SECRETS), fc.boolean());
  const anyText = fc
    .tuple(fc.constantFrom(...CUTS), fc.integer({ min: -100, max: 5 }), fc.constantFrom(...PADS), anySecret, anySecret)
    .map(([cut, off, pad, ...secrets]) => {
      const [one = "", two = ""] = secrets.map(([secret, coded]) => (coded ? encodeURIComponent(secret) : secret));
      return `${pad(Math.max(0, cut + off))}${one}${two} and more`;
    });
  const anyWord = fc
    .tuple(fc.nat(64), fc.constantFrom(...SECRETS))
    .map(([chars, secret]) => `${"x".repeat(chars)}${secret}`);
  const anyError = fc.record({ text: anyText, cause: anyText, stack: anyText, code: anyWord, name: anyWord });
  const forms = SECRETS.flatMap((secret) => [secret, encodeURIComponent(secret)]);
  const pieces = forms.flatMap((form) => Array.from({ length: form.length - 7 }, (_, at) => form.slice(at, at + 8)));
  fc.assert(
    fc.property(anyError, ({ text, cause, stack, code, name }) => {
      const error = Object.assign(new Error(text, { cause: new Error(cause) }), { code, name });
      const placed = Object.assign(new Error("x"), { stack: `Error: x\n    at f (y:1:2)${stack}:1:2` });
      for (const thrown of [error, placed, text]) logError("here", thrown);
      const shown = lines.splice(0).flatMap(stringsIn);
      expect(shown.flatMap((one) => pieces.filter((piece) => one.includes(piece)))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("[SEE4] nor is the beginning of a key that nobody named, where the text is cut", () => {
  const read = 4 * LOG_MESSAGE_MAX_CHARS;
  for (let shown = 1; shown <= 30; shown++)
    expect(messageOf(`"${"x".repeat(read - 3 - shown)}" sk-ant-0123456789-0123456789`)).toBe("[…] […]");
});

test("[SEE5] a line has 4,096 characters at most: what is longest goes first", () => {
  const lines: object[] = [];
  const before = writeLinesTo((line) => lines.push(line));
  onTestFinished(() => void writeLinesTo(before));
  log("info", "x", {
    session_id: "s",
    none: undefined,
    nothing: null,
    models: ["y".repeat(3_000)],
    where: "z".repeat(2_000),
  });
  log("info", "x", { models: Array.from({ length: 1_000 }, (_, i) => `${i}`), where: "z".repeat(5_000) });
  expect(lines).toEqual([
    { level: "info", event: "x", session_id: "s", nothing: null, where: "z".repeat(2_000), cut: true },
    { level: "info", event: "x", cut: true },
  ]);
  for (const line of lines) expect(JSON.stringify(line).length).toBeLessThanOrEqual(LOG_LINE_MAX_CHARS);
});

test("[SEE5] a line is an object with its fields, and one line of JSON wherever it is printed", () => {
  const spies = (["log", "warn", "error"] as const).map((method) => vi.spyOn(console, method).mockReturnValue());
  onTestFinished(() => void vi.restoreAllMocks());
  for (const level of ["info", "warn", "error"] as const) writeToConsole({ level, event: "x", where: "a\nb" });
  const printed = spies.map(({ mock }) => mock.calls);
  expect(printed).toEqual(
    (["info", "warn", "error"] as const).map((level) => [[{ level, event: "x", where: "a\nb" }]]),
  );
  expect(inspect(printed[0]?.[0]?.[0])).toBe('{"level":"info","event":"x","where":"a\\nb"}');
});

test("[SEE6] a person at a terminal gets a line as a sentence", () => {
  const lines: string[] = [];
  const before = writeLinesTo((line) => lines.push(lineText(parseLine(JSON.stringify(line)) ?? line)));
  onTestFinished(() => void writeLinesTo(before));
  logError("file storage", new TypeError("out of order", { cause: new Error("no disk") }));
  log("error", "request", {
    method: "GET",
    route: "/api/v1/sessions",
    code: "internal",
    error: describeError(Object.assign(new Error("x"), { message: "" })),
  });
  log("error", "error", { where: "settings", detail: "GATEWAY_MODEL is not valid" });
  expect(lines).toEqual([
    "error: file storage: TypeError: out of order (Error: no disk)",
    "error: request GET /api/v1/sessions internal: Error",
    "error: settings: GATEWAY_MODEL is not valid",
  ]);
  expect([parseLine("Error: x"), parseLine('{"level":'), parseLine("{}")]).toEqual([null, null, null]);
});
