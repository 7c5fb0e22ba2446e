/**
 * `npm run build`: in `dist`, as JavaScript, the command line that an installed package runs, and the client library with its
 * types. SPEC.md, PACK.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Metafile, type Plugin } from "esbuild";
import * as z from "zod";

/** A file of its own, since it asks for Node's modules as only CommonJS can, and is loaded on older Nodes alone. */
const wsBeside: Plugin = {
  name: "ws-beside",
  setup({ onResolve }) {
    onResolve({ filter: /^ws$/ }, () => ({ path: "./ws.cjs", external: true }));
  },
};

/** The library's two classes, which every other type is for. */
const CLASSES = `/** Whatever goes wrong; \`code\` says what. */
export declare class GatewayError extends Error {
  readonly name: "GatewayError";
  readonly code: ErrorCode;
  readonly errors: FieldError[] | undefined;
  /** When it makes sense to try again, as the answer's \`Retry-After\` says it. */
  readonly retryAfterSeconds: number | undefined;
  constructor(code: ErrorCode, detail: string, errors?: FieldError[], retryAfterSeconds?: number);
  /** The HTTP status that carries it. */
  get status(): number;
}

/** A gateway reached over the network: REST for questions, a WebSocket to watch a turn. */
export declare class ExternalGateway {
  constructor(options: ExternalGatewayOptions);
}
export interface ExternalGateway extends Gateway {}`;

const JAVASCRIPT = { bundle: true, target: "node20.12", metafile: true, logLevel: "warning" } as const;

rmSync("dist", { recursive: true, force: true });
const outputs = await Promise.all([
  // A few files in the place of hundreds: to find and link each module takes most of a start, whatever is in it.
  build({
    ...JAVASCRIPT,
    entryPoints: ["src/cli/main.ts"],
    outdir: "dist/cli",
    splitting: true,
    format: "esm",
    platform: "node",
    plugins: [wsBeside],
  }),
  build({
    ...JAVASCRIPT,
    entryPoints: { ws: "ws" },
    outdir: "dist/cli",
    outExtension: { ".js": ".cjs" },
    platform: "node",
  }),
  // One file for every platform; a module of Node's would not be found.
  build({
    ...JAVASCRIPT,
    entryPoints: ["src/client/index.ts"],
    outdir: "dist/client",
    format: "esm",
    platform: "neutral",
  }),
]);
writeFileSync("dist/client/index.d.ts", await clientTypes());
writeFileSync("dist/LICENSES", licencesOf(outputs.map(({ metafile }) => metafile)));

/** The licences of the packages whose code is in the output, which ask to go with it. */
function licencesOf(metafiles: Metafile[]): string {
  const folders = new Set<string>();
  for (const { inputs } of metafiles.flatMap(({ outputs }) => Object.values(outputs))) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders].sort().map(licenceOf).join("\n");
}

/** A package's licence as it tells it itself: by name, and in the files that hold the text. */
function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|notice)/i.test(file));
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8"));
  return [`---- ${name} ${version}: ${license} ----`, ...texts].join("\n\n");
}

/**
 * The types of the client library in one file, which needs neither zod nor our sources: the client's own as they stand
 * there, those of the protocol as its schemas describe them. A test compares them with the sources' own.
 */
async function clientTypes(): Promise<string> {
  const index = readFileSync("src/client/index.ts", "utf8");
  const schemas = z.registry<{ id: string }>();
  const derived: string[] = [];
  for (const [, names = "", from = ""] of index.matchAll(
    /^export type \{([^}]*)\} from "\.\.\/(protocol\/[^"]+)";$/gm,
  )) {
    const module: unknown = await import(pathToFileURL(join("src", from)).href);
    for (const name of names.split(/[\s,]+/).filter((name) => name !== "")) {
      const schema = Reflect.get(Object(module), `${name.charAt(0).toLowerCase()}${name.slice(1)}`);
      if (schema instanceof z.ZodType) schemas.add(schema, { id: name });
      else derived.push(derivedType(name));
    }
  }
  const described = z.toJSONSchema(schemas, { io: "output", unrepresentable: "any" }).schemas;
  const protocol = Object.entries(described).flatMap(([name, schema]) =>
    name === "__shared" ? [] : [`export type ${name} = ${typeText(schema, name)};`],
  );
  const own = ["gateway", "options"].map((name) =>
    readFileSync(`src/client/${name}.ts`, "utf8")
      .replaceAll(/^import [^;]*;\n/gm, "")
      .trim(),
  );
  return `${[...protocol, ...derived, ...own, CLASSES].join("\n\n")}\n`;
}

/** Types that follow from others, or that no schema has. */
function derivedType(name: string): string {
  switch (name) {
    case "Json":
      return "/** Any JSON value. */\nexport type Json = string | number | boolean | null | Json[] | { [key: string]: Json };";
    case "EventOf":
      return "export type EventOf<T extends EventType> = Extract<Event, { type: T }>;";
    case "EventData":
      return 'export type EventData<T extends EventType> = EventOf<T>["data"];';
    case "FieldError":
      return "export type FieldError = { path: string; message: string };";
    case "PendingInput":
      return 'export type PendingInput = Session["pending_inputs"][number];';
    default:
      throw new Error(`src/client/index.ts exports the type ${name}, which the build does not know.`);
  }
}

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** A type as TypeScript writes it. `self` is the name of what is described, which may not be described by that. */
function typeText(schema: JsonSchema | boolean, self?: string): string {
  if (typeof schema === "boolean") return "unknown";
  const { $ref, const: constant, enum: values, anyOf, oneOf, type, items, properties, additionalProperties } = schema;
  if ($ref?.startsWith("__shared#")) return "Json";
  if ($ref !== undefined && $ref !== self) return $ref;
  if (constant !== undefined) return JSON.stringify(constant);
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(" | ");
  const choices = anyOf ?? oneOf;
  if (choices !== undefined) return choices.map((choice) => typeText(choice)).join(" | ");
  if (Array.isArray(type)) return type.map((one) => typeText({ ...schema, type: one })).join(" | ");
  switch (type) {
    case "integer":
      return "number";
    case "array":
      return `Array<${Array.isArray(items) || items === undefined ? "unknown" : typeText(items)}>`;
    case "object":
      if (properties === undefined) return `{ [key: string]: ${typeText(additionalProperties ?? true)} }`;
      return `{\n${fieldLines(properties, schema.required ?? []).replaceAll(/^/gm, "  ")}\n}`;
    case "string":
    case "number":
    case "boolean":
    case "null":
      return type;
    default:
      return "unknown";
  }
}

function fieldLines(properties: Record<string, JsonSchema | boolean>, required: string[]): string {
  const lines = Object.entries(properties).map(([name, schema]) =>
    required.includes(name) ? `${name}: ${typeText(schema)};` : `${name}?: ${typeText(schema)} | undefined;`,
  );
  return lines.join("\n");
}
