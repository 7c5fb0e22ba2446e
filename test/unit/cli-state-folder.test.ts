import { expect, test } from "vitest";
import { claimState } from "../../src/cli/state-folder.ts";

test.each(["/proc/nope/state", "/dev/null"])(
  "[START5] a state folder that cannot be made is wrong usage: %s",
  (state) => {
    const message = expect.stringContaining(`The state folder ${state} cannot be used: `);
    expect(() => claimState(state)).toThrow(expect.objectContaining({ exitCode: 2, message }));
  },
);
