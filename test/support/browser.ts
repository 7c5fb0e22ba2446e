import { existsSync } from "node:fs";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { TemporaryFolder } from "./temporary-folder.ts";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Nothing that a browser does for itself, and that would ask the internet for something. */
const QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** A real Chromium, with a folder of its own. At disposal it is closed. */
export class TestBrowser implements AsyncDisposable {
  readonly #context: BrowserContext;
  readonly #folder: TemporaryFolder;

  constructor(context: BrowserContext, folder: TemporaryFolder) {
    this.#context = context;
    this.#folder = folder;
  }

  /** A page, and what it said on its console or asked other hosts for. */
  async open(url: string): Promise<OpenPage> {
    const page = await this.#context.newPage();
    const said: string[] = [];
    const asked: string[] = [];
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`error: ${error.message}`));
    page.on("request", (request) => asked.push(new URL(request.url()).origin));
    await page.goto(url);
    return { page, said, asked };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    this.#folder[Symbol.dispose]();
  }
}

export type OpenPage = { page: Page; said: string[]; asked: string[] };

/** @throws Error that says how to get a Chromium where there is none */
export async function startBrowser(): Promise<TestBrowser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(`There is no Chromium at ${CHROMIUM}: apt-get install -y chromium, or name one in CHROMIUM.`);
  }
  const folder = new TemporaryFolder();
  const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", ...QUIET];
  const context = await chromium.launchPersistentContext(folder.path, {
    executablePath: CHROMIUM,
    headless: true,
    args,
  });
  return new TestBrowser(context, folder);
}
