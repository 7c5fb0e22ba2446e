import { mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkDirect } from "./choose-gateway.ts";
import { EXIT, Failure, usageFailure } from "./failure.ts";
import { checkNode, gatewaySettings, modelSettings, workspaceFolder } from "./in-process.ts";
import { cancelOnInterrupt } from "./interrupts.ts";
import { refusalOf } from "./refusal.ts";
import { homeSetting, readSources } from "./settings.ts";
import { createRenderer, print } from "./terminal.ts";
import { exitCodeOf } from "./turn-exit.ts";
import type { TurnFlags } from "./turn-flags.ts";

/**
 * Runs one turn of which no session is kept, and shows it. SIGINT cancels it, a second one leaves at once.
 *
 * @returns the exit code that the turn's end asks for
 * @throws Failure
 */
export async function runDirectly(flags: TurnFlags, text: string): Promise<number> {
  checkDirect(flags);
  if (flags.message.on_busy !== undefined) throw usageFailure("--direct does not go with --on-busy.");
  checkNode();
  const renderer = createRenderer(flags);
  const workspace =
    flags.workspace === undefined
      ? realpathSync(mkdtempSync(join(tmpdir(), "turnpike-")))
      : workspaceFolder(flags.workspace);
  print(renderer.note(`folder ${workspace}`));

  const { runDirect } = await import("../local/run-direct.ts");
  const abort = new AbortController();
  const cancel = async () => abort.abort();
  try {
    return await cancelOnInterrupt({ renderer, cancel, leaving: "left before its end" }, async () => {
      const sources = readSources();
      const place = { workspace, home: homeSetting(sources) };
      // The default is what a call comes to that would be asked for.
      const asked = flags.approve === "allow" ? { GATEWAY_INPUT_DEFAULT: "allow" } : {};
      const settings = { models: modelSettings(sources), gateway: { ...gatewaySettings(sources), ...asked } };
      const options = { ...place, ...settings, model: flags.model, signal: abort.signal };
      for await (const event of runDirect(options, { user_input: text, ...flags.message })) {
        print(...renderer.render(event));
        if (event.type === "ITERATION_END") return exitCodeOf(event.data.status);
      }
      throw new Failure(EXIT.failed, "The turn has no end.");
    });
  } catch (thrown) {
    throw refusalOf(thrown);
  }
}
