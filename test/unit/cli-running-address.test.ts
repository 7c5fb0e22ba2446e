import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runningAddress, tellAddress } from "../../src/cli/running-address.ts";
import { addressFile } from "../../src/cli/state-folder.ts";
import { TemporaryFolder } from "../support/temporary-folder.ts";

const URL_HERE = "http://127.0.0.1:8787";

test("[DEPLOY6] [CLI27] the gateway on a state is found by what it says while it runs", () => {
  using state = new TemporaryFolder();
  expect(runningAddress(state.path)).toBeNull();
  tellAddress(state.path, URL_HERE);
  expect(runningAddress(state.path)).toBe(URL_HERE);
});

test("[DEPLOY6] [CLI27] what one that has ended left is no address, nor is another machine's, and no token is sent there", () => {
  using state = new TemporaryFolder();
  const { pid: ended } = spawnSync(process.execPath, ["--version"]);
  const left = [
    `${URL_HERE}\n${ended}\n`,
    URL_HERE,
    `http://127.0.0.2:8787\n${process.pid}\n`,
    `https://gateway.example.com\n${process.pid}\n`,
    `http://127.0.0.1.example.com\n${process.pid}\n`,
    `nonsense\n${process.pid}\n`,
    "",
  ];
  for (const text of left) {
    writeFileSync(addressFile(state.path), text);
    expect(runningAddress(state.path), text).toBeNull();
  }
});
