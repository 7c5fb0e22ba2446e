import type { Event, EventOf } from "../protocol/events.ts";
import type { Input } from "../protocol/inputs.ts";
import { showHidden, showHiddenLine } from "../protocol/show-hidden.ts";
import { detailsOf } from "./asked-input.ts";
import { answeredText, limitText, roomText, waitingForText } from "./event-text.ts";
import { jsonLine, sanitize, sanitizeLine } from "./sanitize.ts";

/** Text for one of the two streams, in the order in which it is to be written. */
export type Output = { to: "stdout" | "stderr"; text: string };

export type RenderOptions = {
  /** Every event as a line of JSON instead of its text. */
  json: boolean;
  /** Show the text of thinking, not only that there is some. */
  thinking: boolean;
  stdout: { isTTY: boolean };
  stderr: { isTTY: boolean; color: boolean; columns: number };
};

const PREVIEW_LINES = 3;
const FIELD_LINES = 6;

type Style = "dim" | "red" | "green" | "cyan";
const STYLES = { dim: 2, red: 31, green: 32, cyan: 36 } as const;

/**
 * Turns the events of one turn into what a person sees. Holds what was shown so far and touches no stream: stdout is
 * the model's text and nothing else, everything about it goes to stderr.
 */
export class Renderer {
  readonly #options: RenderOptions;
  /** The stream whose last line is not ended yet. */
  #midLine: Output["to"] | null = null;
  /** Whether the text so far ends without a line feed. */
  #endsMidLine = false;
  /** What in a pipe comes before the next text. */
  #textBreak: "" | "\n" = "";
  /** How many characters of each block of the running step were shown. */
  readonly #shown = new Map<number, number>();

  constructor(options: RenderOptions) {
    this.#options = options;
  }

  get isJson(): boolean {
    return this.#options.json;
  }

  render(event: Event): Output[] {
    if (this.#options.json) return [{ to: "stdout", text: jsonLine(event) }];
    switch (event.type) {
      case "SESSION_INFO":
      case "USER_INPUT":
        return [];
      case "STATUS":
        return this.#status(event.data);
      case "TEXT":
        return this.#text(event);
      case "THINKING":
        return this.#thinking(event);
      case "TOOL_CALL": {
        const { name, input, executor } = event.data;
        const tool = sanitizeLine(executor === "client" ? `${name} (a client's)` : name);
        return [this.#line(`${this.#style("cyan", tool)} ${this.#clip(JSON.stringify(input), tool.length + 1)}`)];
      }
      case "TOOL_RESULT":
        return this.#preview(event.data.content_preview, event.data.is_error);
      case "AUTH_REQUIRED":
        return [this.note(showHiddenLine(event.data.message))];
      case "WORK_PRODUCT":
        return [this.#line(`${this.#style("green", sanitizeLine(event.data.path))} (${event.data.size} bytes)`)];
      case "ERROR":
        return [
          ...this.#discarded(event.data.discard),
          this.error(`error: ${event.data.message} (${sanitizeLine(event.data.code)})`),
        ];
      case "ITERATION_END":
        return this.#end(event.data);
    }
  }

  /** Says that another turn comes: in a pipe its text will begin a line of its own. */
  beginTurn(): void {
    this.#textBreak = this.#endsMidLine ? "\n" : "";
  }

  /** A line about the program itself, such as the id of a new session. */
  note(text: string): Output {
    return this.#line(this.#style("dim", text));
  }

  /** What somebody is asked, with what has to be seen to answer it; the prompt comes after it. */
  asked(input: Input): Output[] {
    const isQuestion = input.kind === "question";
    const message = isQuestion ? showHidden(input.message).replaceAll("\n", "\n  ") : showHiddenLine(input.message);
    const details = detailsOf(input);
    // Of options none may be missing.
    const shown = isQuestion ? details : details.slice(0, FIELD_LINES).map((line) => this.#clip(line, 2));
    if (shown.length < details.length) shown.push(`… ${details.length - shown.length} more`);
    return [
      this.#line(this.#style("cyan", message)),
      ...shown.map((line) => this.#line(`  ${isQuestion ? line : this.#style("dim", line)}`)),
    ];
  }

  /** A failure that is no event. */
  error(text: string): Output {
    return this.#line(this.#style("red", text));
  }

  #status(data: EventOf<"STATUS">["data"]): Output[] {
    switch (data.status) {
      case "queued":
        return [this.note(`queued at position ${data.position}`)];
      case "retrying": {
        const why = `${sanitizeLine(data.code)}, attempt ${data.attempt}`;
        return [...this.#discarded(data.discard), this.note(`trying again in ${seconds(data.delay_seconds)} (${why})`)];
      }
      case "resumed":
        return [...this.#discarded(data.discard), this.note("resumed after an interruption")];
      case "steered":
        return [this.note(`joined the turn: ${sanitizeLine(data.text)}`)];
      case "file_changed":
        return [
          this.note(`${sanitizeLine(data.path)} was ${data.sha256 === null ? "removed" : "changed"} by a client`),
        ];
      case "waiting":
        return [this.note(waitingForText(data))];
      case "answered":
        return [this.note(answeredText(data))];
      case "made_room":
        return [this.note(roomText(data))];
      case "processing":
      case "deleted":
        return [];
    }
  }

  #text({ seq, data }: EventOf<"TEXT">): Output[] {
    if (data.text === "") return [];
    this.#count(seq, data.text);
    const text = this.#options.stdout.isTTY ? sanitize(data.text) : `${this.#textBreak}${data.text}`;
    this.#textBreak = "";
    this.#endsMidLine = !text.endsWith("\n");
    return [this.#write("stdout", text)];
  }

  #thinking({ seq, data }: EventOf<"THINKING">): Output[] {
    if (!this.#options.thinking) {
      if (this.#shown.has(seq) || data.discarded) return [];
      this.#count(seq, "");
      return [this.note("thinking …")];
    }
    this.#count(seq, data.thinking);
    const outputs = data.thinking === "" ? [] : [this.#write("stderr", this.#style("dim", data.thinking))];
    if (data.done && this.#midLine === "stderr") outputs.push(this.#newLine());
    return outputs;
  }

  #preview(content: string, isError: boolean): Output[] {
    const lines = content.split("\n");
    const shown = lines.slice(0, PREVIEW_LINES).map((line) => this.#clip(line, 2));
    if (lines.length > PREVIEW_LINES) shown.push(`… ${lines.length - PREVIEW_LINES} more lines`);
    return shown.map((line) => this.#line(`  ${this.#style(isError ? "red" : "dim", line)}`));
  }

  #end(data: EventOf<"ITERATION_END">["data"]): Output[] {
    const { status, stop_reason, duration_seconds, tool_calls, usage } = data;
    const tools = `${tool_calls} ${tool_calls === 1 ? "tool" : "tools"}`;
    const read = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
    const tokens = `${read} tokens in, ${usage.output_tokens} out`;
    const why = limitText(data) ?? stop_reason;
    const reason = status === "complete" || why === null ? "" : ` (${sanitizeLine(why)})`;
    const style = status === "complete" || status === "cancelled" ? "dim" : "red";
    const outputs: Output[] = [];
    // On a terminal the text ends its line; in a pipe it stays exactly what the model said.
    if (this.#midLine === "stdout" && this.#options.stdout.isTTY) outputs.push({ to: "stdout", text: "\n" });
    if (outputs.length > 0) this.#midLine = null;
    outputs.push(
      this.#line(this.#style(style, `${status}${reason} in ${seconds(duration_seconds)}, ${tools}, ${tokens}`)),
    );
    this.#shown.clear();
    return outputs;
  }

  /** Text that was shown and does not count any more. */
  #discarded(seqs: number[] = []): Output[] {
    let characters = 0;
    for (const seq of seqs) characters += this.#shown.get(seq) ?? 0;
    return characters === 0 ? [] : [this.note(`[discarded the last ${characters} characters]`)];
  }

  #count(seq: number, text: string): void {
    this.#shown.set(seq, (this.#shown.get(seq) ?? 0) + text.length);
  }

  #line(text: string): Output {
    const output = this.#write("stderr", `${text}\n`, true);
    this.#midLine = null;
    return output;
  }

  #newLine(): Output {
    this.#midLine = null;
    return { to: "stderr", text: "\n" };
  }

  /** Where both streams are one terminal, what goes to the other one begins on a line of its own. */
  #write(to: Output["to"], text: string, ownLine = false): Output {
    const { stdout, stderr } = this.#options;
    const shared = stdout.isTTY && stderr.isTTY;
    const breaks = this.#midLine !== null && (this.#midLine === to ? ownLine : shared);
    this.#midLine = text.endsWith("\n") ? null : to;
    return { to, text: breaks ? `\n${text}` : text };
  }

  /** Nothing from elsewhere is written past this and `#clip` but the text of the model, which has its own way. */
  #style(style: Style, from: string): string {
    const text = sanitize(from);
    return this.#options.stderr.color ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
  }

  /** One line that fits beside `taken` characters. */
  #clip(text: string, taken: number): string {
    const room = Math.max(20, this.#options.stderr.columns - taken);
    const characters = Array.from(sanitize(text).replaceAll("\n", " "));
    return characters.length <= room ? characters.join("") : `${characters.slice(0, room - 1).join("")}…`;
  }
}

function seconds(value: number): string {
  return `${value.toFixed(1)} s`;
}
