// @ts-check
const METHODS = ["get", "head", "post", "put", "patch", "delete"];
const SHOWN_MAX_CHARS = 200_000;
const main = partOf("main", HTMLElement);
const token = partOf("token", HTMLInputElement);
const filter = partOf("filter", HTMLInputElement);
// The token goes nowhere by itself.
partOf("who", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
let api = {};

/**
 * What stands in the page itself.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function partOf(id, kind) {
  const part = document.getElementById(id);
  if (!(part instanceof kind)) throw new Error(`The page has no ${id}.`);
  return part;
}

/** An element. Whatever comes from the document or from an answer becomes text, never markup. */
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** A description: of Markdown it knows paragraphs, code and what is strong. */
function prose(text) {
  const parts = text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return el("code", {}, part.slice(1, -1));
    return part.startsWith("**") ? el("strong", {}, part.slice(2, -2)) : part;
  });
  return el("p", {}, ...parts);
}

function resolve(value) {
  if (value?.$ref === undefined) return value ?? {};
  const path = value.$ref
    .slice(2)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  return path.reduce((inner, key) => inner?.[key], api) ?? {};
}

/** A schema as a type is written in TypeScript. A reference stands as its name, so that a recursive one ends. */
function typeOf(schema, indent = "") {
  if (schema === true || schema === undefined) return "unknown";
  if (schema === false) return "never";
  if (schema.$ref !== undefined) return schema.$ref.split("/").at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const union = schema.oneOf ?? schema.anyOf;
  if (union !== undefined) return union.map((one) => typeOf(one, indent)).join(" | ");
  if (schema.allOf !== undefined) return schema.allOf.map((one) => typeOf(one, indent)).join(" & ");
  if (Array.isArray(schema.type)) return schema.type.map((type) => typeOf({ ...schema, type }, indent)).join(" | ");
  if (schema.type === "array") return `(${typeOf(schema.items, indent)})[]`;
  if (schema.type !== "object" && schema.properties === undefined)
    return `${schema.type ?? "unknown"}${boundsOf(schema)}`;
  const inner = `${indent}  `;
  const required = new Set(schema.required ?? []);
  const lines = Object.entries(schema.properties ?? {}).map(
    ([key, value]) =>
      `${inner}${key}${required.has(key) ? "" : "?"}: ${typeOf(value, inner)};${value.description ? `  // ${value.description}` : ""}`,
  );
  const rest = schema.additionalProperties;
  if (rest !== undefined && rest !== false) lines.push(`${inner}[key: string]: ${typeOf(rest, inner)};`);
  return lines.length === 0 ? "{}" : `{\n${lines.join("\n")}\n${indent}}`;
}

function boundsOf({ format, pattern, minimum, maximum, minLength, maxLength }) {
  const said = Object.entries({ format, pattern, minimum, maximum, minLength, maxLength });
  const known = said.filter(([, value]) => value !== undefined && Math.abs(value) !== Number.MAX_SAFE_INTEGER);
  return known.length === 0 ? "" : ` /* ${known.map(([key, value]) => `${key} ${value}`).join(", ")} */`;
}

/** The type behind a name, where it is one: what is looked for stands at once. */
function shownType(schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name === undefined ? typeOf(schema) : `${name} = ${typeOf(resolve(schema))}`;
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));

/** @param {{ example?: unknown, examples?: Record<string, any> }} media */
function exampleOf({ example, examples } = {}) {
  const [first] = Object.values(examples ?? {});
  return example ?? resolve(first)?.value;
}

function parametersOf(item, operation) {
  return [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolve);
}

function section(title, ...children) {
  return children.length === 0 ? [] : [el("h3", {}, title), ...children];
}

function parameterTable(parameters) {
  if (parameters.length === 0) return [];
  const rows = parameters.map(({ name, in: place, required, schema, description }) =>
    el(
      "tr",
      {},
      el("th", {}, name, el("div", { class: "quiet" }, `${place}${required ? ", required" : ""}`)),
      el("td", {}, el("code", {}, typeOf(resolve(schema))), description ? prose(description) : null),
    ),
  );
  return section("Parameters", el("table", {}, ...rows));
}

function contentBlocks(content = {}) {
  return Object.entries(content).flatMap(([type, media]) => {
    const example = exampleOf(media);
    return [
      el("div", { class: "quiet" }, type),
      el("pre", {}, shownType(media.schema)),
      example === undefined ? null : el("pre", {}, pretty(example)),
    ];
  });
}

function answerList(responses) {
  return section(
    "Answers",
    ...Object.entries(responses).map(([status, response]) => {
      const { description, headers = {}, content } = resolve(response);
      const names = Object.keys(headers);
      return el(
        "details",
        {},
        el("summary", {}, el("span", { class: "method" }, status), el("span", { class: "says" }, description ?? "")),
        names.length === 0 ? null : el("p", { class: "quiet" }, `Headers: ${names.join(", ")}`),
        ...contentBlocks(content),
      );
    }),
  );
}

function socketNotes(notes) {
  return notes === undefined ? [] : section("On the WebSocket", el("pre", {}, pretty(notes)));
}

/** What is filled in: each parameter's field, and the body. */
function fieldsOf(operation, parameters) {
  const fields = parameters.map((parameter) => {
    const { name, in: place, required, schema } = parameter;
    const given = parameter.example ?? exampleOf(parameter) ?? "";
    const input = el("input", { value: required ? String(given) : "", placeholder: String(given), "aria-label": name });
    return { name, place, input, label: `${name} (${place}${required ? "" : ", optional"})`, schema };
  });
  const [type, media] = Object.entries(resolve(operation.requestBody).content ?? {})[0] ?? [];
  const example = exampleOf(media);
  const body = type === undefined ? null : el("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (body !== null) body.value = example === undefined ? "" : pretty(example);
  const answers = Object.values(operation.responses ?? {}).flatMap((response) =>
    Object.keys(resolve(response).content ?? {}),
  );
  const types = [...new Set(answers)].filter((one) => one !== "application/problem+json");
  const accept =
    types.length < 2 ? null : el("select", { "aria-label": "Accept" }, ...types.map((one) => el("option", {}, one)));
  return { fields, type, body, accept };
}

/** The request as it is filled in, with the token's place left open. */
function requestOf(method, path, { fields, type, body, accept }) {
  const query = new URLSearchParams();
  const headers = new Headers(type === undefined || body.value === "" ? {} : { "content-type": type });
  let address = path;
  for (const { name, place, input } of fields) {
    const { value } = input;
    // A file's path may hold slashes, which stay.
    if (place === "path") address = address.replace(`{${name}}`, value.split("/").map(encodeURIComponent).join("/"));
    else if (value !== "" && place === "query") query.set(name, value);
    else if (value !== "" && place === "header") headers.set(name, value);
  }
  if (accept !== null) headers.set("accept", accept.value);
  const search = query.size === 0 ? "" : `?${query}`;
  const hasBody = body !== null && body.value !== "" && !["get", "head"].includes(method);
  return { url: `${address}${search}`, method: method.toUpperCase(), headers, body: hasBody ? body.value : undefined };
}

function asCurl({ url, method, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl -sN -X ${method} ${quote(location.origin + url)}`, `-H "Authorization: Bearer $TOKEN"`];
  for (const [name, value] of headers) lines.push(`-H ${quote(`${name}: ${value}`)}`);
  if (body !== undefined) lines.push(`--data-raw ${quote(body)}`);
  return lines.join(" \\\n  ");
}

/** Sends it, and shows what comes as it comes. */
async function send(request, output, signal) {
  const headers = new Headers(request.headers);
  if (token.value !== "") headers.set("authorization", `Bearer ${token.value}`);
  const response = await fetch(request.url, { ...request, headers, signal, redirect: "error", credentials: "omit" });
  const head = [
    `${response.status} ${response.statusText}`,
    ...[...response.headers].map(([name, value]) => `${name}: ${value}`),
  ];
  const show = (text) => {
    output.textContent = `${head.join("\n")}\n\n${text.slice(0, SHOWN_MAX_CHARS)}`;
  };
  show("");
  const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  let text = "";
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) {
    text += piece.value;
    show(text);
  }
  if (isJson && text !== "") show(pretty(JSON.parse(text)));
}

function tryForm(method, path, operation, parameters) {
  const filled = fieldsOf(
    operation,
    parameters.filter(({ in: place }) => ["path", "query", "header"].includes(place)),
  );
  const output = el("pre", { hidden: true, "aria-live": "polite" });
  const stop = el("button", { type: "button", disabled: true }, "Stop");
  const show = (text) => {
    output.hidden = false;
    output.textContent = text;
  };
  const run = async () => {
    const sending = new AbortController();
    stop.disabled = false;
    stop.onclick = () => sending.abort();
    show("…");
    try {
      const isSocket = operation["x-websocket"] !== undefined;
      const request = requestOf(method, path, filled);
      if (isSocket) await openSocket(request, output, sending.signal);
      else await send(request, output, sending.signal);
    } catch (thrown) {
      output.textContent += `\n${sending.signal.aborted ? "stopped" : thrown}`;
    } finally {
      stop.disabled = true;
    }
  };
  const curl = () => show(asCurl(requestOf(method, path, filled)));
  return [
    el("h3", {}, "Try it"),
    ...filled.fields.flatMap(({ label, input }) => [el("label", {}, label), input]),
    ...(filled.body === null ? [] : [el("label", {}, `Body (${filled.type})`), filled.body]),
    ...(filled.accept === null ? [] : [el("label", {}, "Accept"), filled.accept]),
    el("button", { type: "button", click: run }, operation["x-websocket"] === undefined ? "Send" : "Connect"),
    stop,
    el("button", { type: "button", click: curl }, "As curl"),
    output,
  ];
}

/** A browser's WebSocket carries no header: a ticket opens it. Frames are typed below what has come. */
async function openSocket({ url }, output, signal) {
  const address = new URL(url, location.href);
  const minted = await fetch(address.pathname.replace(/stream$/, "tickets"), {
    method: "POST",
    headers: { authorization: `Bearer ${token.value}`, "content-type": "application/json" },
    body: "{}",
    signal,
  });
  const answer = await minted.json();
  if (!minted.ok) {
    output.textContent = pretty(answer);
    return;
  }
  address.protocol = address.protocol.replace("http", "ws");
  address.searchParams.set("ticket", answer.ticket);
  const socket = new WebSocket(address);
  const frame = el("textarea", { "aria-label": "A frame to send", spellcheck: "false" });
  frame.value = pretty({ type: "execute", data: { user_input: "Say 'hello'" } });
  // What is sent before the socket is open is lost.
  const sends = el("button", { type: "button", disabled: true, click: () => socket.send(frame.value) }, "Send frame");
  socket.onopen = () => {
    sends.disabled = false;
  };
  const sender = el("div", {}, frame, sends);
  output.textContent = "";
  output.after(sender);
  signal.addEventListener("abort", () => socket.close());
  const show = (line) => {
    output.textContent = `${output.textContent}${line}\n`.slice(-SHOWN_MAX_CHARS);
    output.scrollTop = output.scrollHeight;
  };
  socket.onmessage = ({ data }) => show(data);
  await new Promise((resolve) => {
    socket.onclose = ({ code, reason }) => {
      show(`closed: ${code} ${reason}`);
      resolve(undefined);
    };
  });
  sender.remove();
}

function operationBlock(method, path, item) {
  const operation = item[method];
  const parameters = parametersOf(item, operation);
  const id = operation.operationId ?? `${method} ${path}`;
  const block = el(
    "details",
    { id, class: "operation" },
    el(
      "summary",
      {},
      el("span", { class: "method" }, method.toUpperCase()),
      el("span", { class: "path" }, path),
      el("span", { class: "says" }, operation.summary ?? ""),
    ),
  );
  // Most of it is never looked at.
  block.addEventListener("toggle", () => {
    if (!block.open || block.querySelector(".inside") !== null) return;
    const body = resolve(operation.requestBody);
    block.append(
      el(
        "div",
        { class: "inside" },
        operation.description ? prose(operation.description) : null,
        el("a", { class: "quiet", href: `#${encodeURIComponent(id)}` }, `#${id}`),
        parameterTable(parameters),
        body.content === undefined ? null : section("Body", ...contentBlocks(body.content)),
        answerList(operation.responses ?? {}),
        socketNotes(operation["x-websocket"]),
        tryForm(method, path, operation, parameters),
      ),
    );
  });
  return { tag: operation.tags?.[0] ?? "API", block, text: `${method} ${path} ${pretty(operation)}`.toLowerCase() };
}

function openLinked() {
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (linked === null) return;
  if (linked instanceof HTMLDetailsElement) linked.open = true;
  linked.scrollIntoView();
}

async function show() {
  const response = await fetch("/openapi.json", { credentials: "omit" });
  if (!response.ok) throw new Error(`/openapi.json answers ${response.status}`);
  api = await response.json();
  const operations = Object.entries(api.paths ?? {}).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method] !== undefined).map((method) => operationBlock(method, path, item)),
  );
  const tags = [...new Set([...(api.tags ?? []).map(({ name }) => name), ...operations.map(({ tag }) => tag)])];
  const groups = tags
    .map((tag) => ({ tag, own: operations.filter((one) => one.tag === tag) }))
    .filter(({ own }) => own.length > 0)
    .map(({ tag, own }) => el("section", {}, el("h2", {}, tag), ...own.map(({ block }) => block)));
  const schemas = Object.entries(api.components?.schemas ?? {}).map(([name, schema]) =>
    el(
      "details",
      { id: `schema-${name}` },
      el("summary", {}, el("span", { class: "path" }, name)),
      el("pre", {}, typeOf(schema)),
    ),
  );
  main.replaceChildren(
    prose(api.info?.description ?? ""),
    el("p", { class: "quiet" }, `Version ${api.info?.version}. `, el("a", { href: "/openapi.json" }, "/openapi.json")),
    ...groups,
    el("section", {}, el("h2", {}, "Schemas"), ...schemas),
  );
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const { block, text } of operations) block.hidden = !words.every((word) => text.includes(word));
    for (const group of groups) group.hidden = group.querySelector(".operation:not([hidden])") === null;
  });
  window.addEventListener("hashchange", openLinked);
  openLinked();
}

show().catch((thrown) => main.replaceChildren(el("p", {}, `The document could not be read: ${thrown}`)));
