import { expect, test } from "vitest";
import { parity } from "../../src/cli/commands/parity.ts";

test.for([["--frob"], ["a"], ["--only"]])("[PARITY7] %s is wrong usage, told in one line", async (args) => {
  await expect(parity(args)).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(/^[^\n]+$/) });
});
