import { type ParseArgsConfig, parseArgs } from "node:util";
import { usageFailure } from "./failure.ts";

/** Node's `parseArgs`, with what is wrong told in one line. @throws Failure */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown;
    // The rest of the message is advice about arguments that begin with a dash.
    throw usageFailure(thrown.message.split(/\.\s/)[0] ?? thrown.message);
  }
}
