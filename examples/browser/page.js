import { ExternalGateway } from "/turnpike.js";

/** @param {string} path */
async function ask(path) {
  const response = await fetch(path, { method: "POST" });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return await response.json();
}

const { gateway: baseUrl, session_id } = await ask("/session");
// Each connection takes a ticket of its own. When one drops, the library asks for another and goes on at its cursor.
const gateway = new ExternalGateway({ baseUrl, ticket: async () => (await ask("/ticket")).ticket });

const log = document.getElementById("log");
/** What is shown of each event, by its seq. @type {Map<number, HTMLElement>} */
const shown = new Map();

/** @param {number} seq @param {string} kind */
function paragraph(seq, kind) {
  const known = shown.get(seq);
  if (known !== undefined) return known;
  const made = Object.assign(document.createElement("p"), { className: kind });
  log?.append(made);
  shown.set(seq, made);
  return made;
}

/** @param {number[]} discarded */
function drop(discarded) {
  for (const seq of discarded) shown.get(seq)?.remove();
}

document.querySelector("form")?.addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const field = document.querySelector("input");
  const user_input = field?.value ?? "";
  if (field !== null) field.value = "";
  // What comes of it is shown by the loop below, as is what others send to this session.
  for await (const { type } of gateway.execute(session_id, { user_input })) if (type === "USER_INPUT") break;
});
// Until here a click, or Enter, would have sent the form itself, and loaded the page anew.
const button = document.querySelector("button");
if (button !== null) button.disabled = false;

for await (const event of gateway.events(session_id, "0")) {
  switch (event.type) {
    case "USER_INPUT":
      paragraph(event.seq, "asked").textContent = event.data.text;
      break;
    case "TEXT":
      if (event.data.discarded !== true) paragraph(event.seq, "said").append(event.data.text);
      break;
    case "STATUS":
      if (event.data.status === "retrying" || event.data.status === "resumed") drop(event.data.discard);
      break;
    case "WORK_PRODUCT":
      paragraph(event.seq, "done").textContent = `made ${event.data.path}`;
      break;
    case "ERROR":
      drop(event.data.discard ?? []);
      paragraph(event.seq, "done").textContent = event.data.message;
      break;
    case "ITERATION_END":
      paragraph(event.seq, "done").textContent = `${event.data.status}, ${event.data.duration_seconds.toFixed(1)} s`;
  }
}
