import { expect, it } from "vitest";
import { ADMIN, createScene, unwrap } from "./session-scene.ts";

it("[TURN1] a turn writes the file that it was asked for and says so in the log", async () => {
  const scene = await createScene();
  const turn = await scene.run("Create a file called test.txt in work_products with the text 'hello world'");
  expect(turn).toMatchObject({ status: "complete", tool_calls: 1, work_products: ["work_products/test.txt"] });
  const log = await scene.log();
  expect(log.map(({ type }) => type)).toEqual([
    "SESSION_INFO",
    "USER_INPUT",
    "STATUS",
    "TOOL_CALL",
    "TOOL_RESULT",
    "WORK_PRODUCT",
    "TEXT",
    "ITERATION_END",
  ]);
  const file = unwrap(await scene.stub.file(ADMIN, "work_products/test.txt"));
  expect(file.info.size).toBe("hello world".length);
});

it("[MODEL16] [DEMO17] a paused message goes on where it paused", async () => {
  const scene = await createScene();
  const turn = await scene.run("Say 'one', then Stop with pause_turn, then Say 'two', then List ., then Say 'three'");
  expect(turn).toMatchObject({ status: "complete", tool_calls: 1, response_text: "onetwothree" });
});
