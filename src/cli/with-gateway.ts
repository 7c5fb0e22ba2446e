import { chooseGateway, type GatewayFlags } from "./choose-gateway.ts";
import { type OpenGateway, openGateway } from "./open-gateway.ts";
import { refusalOf } from "./refusal.ts";
import { readSources } from "./settings.ts";
import { createRenderer, print } from "./terminal.ts";

type CommandOptions = {
  /** What other processes are told of this one, such as `turnpike files`. */
  holder: string;
  /** What a `not_found` is told as. */
  missing?: string;
};

/**
 * Opens the gateway that the flags name for one command, and closes it after that.
 *
 * @throws Failure for what the gateway refuses too
 */
export async function withGateway(
  flags: GatewayFlags,
  { holder, missing }: CommandOptions,
  use: (opened: OpenGateway) => Promise<number>,
): Promise<number> {
  const sources = readSources();
  const choice = chooseGateway(flags, sources);
  const renderer = createRenderer({ json: false, thinking: false });
  const opened = await openGateway(choice, { sources, holder, tell: (text) => print(renderer.note(text)) });
  try {
    return await use(opened);
  } catch (thrown) {
    throw refusalOf(thrown, missing);
  } finally {
    await opened.gateway.close();
  }
}
