import mime from "mime/lite";

/** Names that the table of MIME types does not know, or knows as something that no workspace means. */
const TEXT_EXTENSIONS = new Set(
  (
    "bash bat c cc cfg clj cmake conf cpp cs dart diff ejs env erl ex exs fish gitignore go gradle graphql h hpp hs ini " +
    "java jl kt kts less lock lua mk ml nim patch php pl properties proto ps1 py r rb rs rst sass scala scss sh sql " +
    "svelte swift tex tf toml ts tsx jsx cts mts vue zig zsh"
  ).split(" "),
);
const TEXT_NAMES = new Set(["authors", "changelog", "dockerfile", "license", "makefile", "notice", "readme"]);
const OTHER_TYPES = new Map([
  ["docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
  ["ipynb", "application/x-ipynb+json"],
  ["jsonl", "application/jsonl"],
  ["ndjson", "application/x-ndjson"],
  ["pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"],
  ["xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
]);

/** The content type that a file's name stands for, `application/octet-stream` where it says nothing. */
export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const extension = name.includes(".") ? name.slice(name.lastIndexOf(".") + 1) : "";
  if (TEXT_EXTENSIONS.has(extension) || TEXT_NAMES.has(name)) return "text/plain; charset=utf-8";
  const type = OTHER_TYPES.get(extension) ?? (extension === "" ? null : mime.getType(extension));
  if (type === null) return "application/octet-stream";
  return type.startsWith("text/") ? `${type}; charset=utf-8` : type;
}
