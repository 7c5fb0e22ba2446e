import { html, raw } from "hono/html";
import { toTimestamp } from "../protocol/events.ts";
import type { Input } from "../protocol/inputs.ts";
import type { Session } from "../protocol/rest.ts";
import { showHidden, showHiddenLine } from "../protocol/show-hidden.ts";

type Html = ReturnType<typeof html>;

export type Page = { title: string; content: Html };

/** What is asked, in which session, and until when the link works (ms since the epoch). */
export type Asked = { input: Input; session: Session; expiresAt: number };

/**
 * Colours follow the reader's system; buttons are wide enough for a thumb. However long a call's input is, it is read by
 * scrolling the page alone, and the buttons stay in sight below it.
 */
const STYLE = `
:root { color-scheme: light dark; --line: #8886; --ink: #1a1a1a; --paper: #fff; --quiet: #595959; --act: #1a56b8; --no: #a8231c; }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #16181b; --quiet: #a9adb3; --act: #2f6fda; --no: #c0372f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 42rem; padding: 1.25rem 1rem 3rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.35rem; line-height: 1.3; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
.asked { margin: 0 0 1.25rem; font-size: 1.15rem; white-space: pre-wrap; }
dl { margin: 0; }
dt { margin-top: .6rem; color: var(--quiet); font-size: .875rem; }
dd { margin: 0; }
pre { margin: .2rem 0 0; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: .4rem; font: .875rem/1.45 ui-monospace, monospace; white-space: pre-wrap; }
form { display: grid; gap: .75rem; margin: 1.5rem 0 0; }
form.pair { position: sticky; bottom: 0; grid-template-columns: 1fr 1fr; padding: .75rem 0; background: var(--paper); }
button { padding: .8rem 1rem; border: 1px solid transparent; border-radius: .5rem; background: var(--act); color: #fff; font: inherit; font-weight: 600; white-space: pre-wrap; overflow-wrap: anywhere; cursor: pointer; }
button.no { background: var(--no); }
button:focus-visible, textarea:focus-visible, a:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
label { color: var(--quiet); font-size: .875rem; }
textarea { width: 100%; min-height: 6rem; padding: .6rem .75rem; border: 1px solid var(--quiet); border-radius: .4rem; background: transparent; color: inherit; font: inherit; }
a { color: inherit; }
.quiet { color: var(--quiet); font-size: .875rem; }
`;

/** A whole page. `nonce` is what its policy lets the style through by. */
export function wholePage(nonce: string, { title, content }: Page): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<title>${title}</title>
<style nonce="${nonce}">${raw(STYLE)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`;
}

/** A page that says one thing. */
export function messagePage(title: string, text: string): Page {
  return { title, content: html`<p>${text}</p>` };
}

/** A page on an answer that was not taken, from which another can be given: its own address shows what is asked. */
export function refusedPage(title: string, text: string): Page {
  return {
    title,
    content: html`<p>${text}</p>
<p><a href="">Back to what is asked</a></p>`,
  };
}

/** What is asked, and the form that answers it. The title gives nothing away, since previews show it. */
export function askingPage(asked: Asked): Page {
  const { input } = asked;
  const isApproval = input.kind === "approval";
  return {
    title: isApproval ? "An agent asks for permission" : "An agent asks a question",
    content: html`${whatIsAsked(asked)}
${isApproval ? approvalForm() : questionForm(input.options ?? [])}
${untilWhen(asked)}`,
  };
}

/** What it came to. `word` is what is said of an answer that was just given. */
export function settledPage(asked: Asked, word: string | null): Page {
  return {
    title: word ?? "This is settled",
    content: html`<p role="status">${outcomeOf(asked.input)}</p>
${asked.input.kind === "question" && asked.input.response !== null ? shownText(asked.input.response) : ""}
<h2>What was asked</h2>
${whatIsAsked(asked)}`,
  };
}

function outcomeOf({ kind, response }: Input): string {
  if (response === null) return "Nobody answered: the time was up, or the agent's turn has ended.";
  if (kind === "question") return "The agent was given this answer:";
  return response === "allow" ? "The call was allowed." : "The call was not allowed.";
}

function whatIsAsked({ input, session }: Asked): Html {
  return html`<p class="asked" dir="auto">${showHidden(input.message)}</p>
<dl>
<dt>Session</dt><dd dir="auto">${showHiddenLine(session.title ?? "without a title")}</dd><dd class="quiet">${session.session_id}</dd>
<dt>User</dt><dd dir="auto">${showHiddenLine(session.user_id)}</dd>
${input.kind === "approval" ? callOf(input) : ""}
</dl>`;
}

/** The call that waits, field by field: text is shown as the lines that it has. */
function callOf({ tool, tool_input }: Input): Html {
  const isFields = typeof tool_input === "object" && tool_input !== null && !Array.isArray(tool_input);
  const fields = isFields ? Object.entries(tool_input) : [["input", tool_input] as const];
  const rows = fields.map(
    ([name, value]) =>
      html`<dt dir="auto">${showHiddenLine(name)}</dt><dd>${shownText(typeof value === "string" ? value : JSON.stringify(value, null, 2))}</dd>
`,
  );
  return html`<dt>Tool</dt><dd><code>${showHiddenLine(tool)}</code></dd>
${rows}`;
}

function approvalForm(): Html {
  return html`<form method="post" class="pair">
<button name="response" value="allow">Allow</button>
<button name="response" value="deny" class="no">Deny</button>
</form>`;
}

/** Two forms, since the text field of one form would be sent along with its buttons. */
function questionForm(options: readonly string[]): Html {
  const buttons = options.map(
    (option) => html`<button name="response" value="${option}" dir="auto">${showHidden(option)}</button>
`,
  );
  return html`${buttons.length === 0 ? "" : html`<form method="post" aria-label="Suggested answers">${buttons}</form>`}
<form method="post">
<label for="response">${buttons.length === 0 ? "Your answer" : "Another answer"}</label>
<textarea id="response" name="response" dir="auto" required></textarea>
<button>Send</button>
</form>`;
}

function untilWhen({ input, expiresAt }: Asked): Html {
  const fallback =
    input.kind === "question"
      ? "the agent is told that nobody answered"
      : `the call is ${input.default === "allow" ? "allowed" : "not allowed"}`;
  const link =
    expiresAt < Date.parse(input.expires_at) ? html` This link works until ${timeOf(toTimestamp(expiresAt))}.` : "";
  return html`<p class="quiet">If nobody answers until ${timeOf(input.expires_at)}, ${fallback}.${link}</p>`;
}

function timeOf(timestamp: string): Html {
  return html`<time datetime="${timestamp}">${timestamp.slice(0, 16).replace("T", " ")} UTC</time>`;
}

/** A line feed right behind the tag is no part of the text, so one is put there for it to keep its own. */
function shownText(text: string): Html {
  return html`<pre dir="auto">
${showHidden(text)}</pre>`;
}
