import { EXIT, usageFailure } from "../failure.ts";
import { GATEWAY_FLAGS_HELP } from "../gateway-flags.ts";
import { ownCommand } from "../own-command.ts";
import { getFile } from "./files-get.ts";
import { listFiles } from "./files-ls.ts";
import { putFile } from "./files-put.ts";

const HELP = `Usage: turnpike files ls ID [PREFIX] [flags]
       turnpike files get ID PATH [-o FILE] [flags]
       turnpike files put ID FILE [PATH] [flags]

Lists the files of a session whose paths begin with PREFIX; writes the file at PATH to stdout or to FILE; puts FILE (-
is stdin) into the session, at PATH or under its own name.

  --json                 ls: print every file as a line of JSON
  -o, --output FILE      get: write here, where there is no file yet
  --force                get: overwrite FILE
${GATEWAY_FLAGS_HELP}`;

/** `turnpike files`. Returns the exit code. @throws Failure */
export async function files([action, ...args]: string[]): Promise<number> {
  if (action === "--help" || action === "-h" || args.includes("--help") || args.includes("-h")) {
    process.stdout.write(HELP);
    return EXIT.complete;
  }
  switch (action) {
    case "ls":
      return await listFiles(args);
    case "get":
      return await getFile(args);
    case "put":
      return await putFile(args);
    default:
      throw usageFailure(`turnpike files needs ls, get or put; ${ownCommand("files --help")} says more.`);
  }
}
