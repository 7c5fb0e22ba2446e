import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { blobKey, removeBlobs, spacePrefix, stagePrefix } from "../../src/workspace/space-blobs.ts";

const put = (keys: string[]) => Promise.all(keys.map((key) => env.BLOBS.put(key, "x")));

/** What is left in these tests' spaces; other files' tests share the bucket. */
async function remaining(): Promise<string[]> {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await env.BLOBS.list({ prefix: "blobs/space_of_blobs_", ...(cursor === undefined ? {} : { cursor }) });
    keys.push(...page.objects.map((object) => object.key));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return keys;
}

test("[FILE9] clean-up of a stage leaves every other stage", async () => {
  const key = (blobId: string) => blobKey("space_of_blobs_1", blobId);
  await put([
    key("stage_1.1"),
    key("stage_1.2"),
    key("stage_1.10"),
    key("stage_10.1"),
    blobKey("space_of_blobs_2", "stage_1.1"),
  ]);
  await removeBlobs(env.BLOBS, stagePrefix("space_of_blobs_1", "stage_1"));
  expect(await remaining()).toEqual([key("stage_10.1"), blobKey("space_of_blobs_2", "stage_1.1")].sort());
});

test("[SESSION13] a space goes whole, however many blobs it has, and no other with it", async () => {
  const keys = Array.from({ length: 1_050 }, (_, i) => blobKey("space_of_blobs_3", `stage_1.${i}`));
  for (let i = 0; i < keys.length; i += 50) await put(keys.slice(i, i + 50));
  const before = await remaining();
  await put([blobKey("space_of_blobs_33", "stage_1.1")]);
  await removeBlobs(env.BLOBS, spacePrefix("space_of_blobs_3"));
  await removeBlobs(env.BLOBS, spacePrefix("space_of_blobs_3"));
  expect(await remaining()).toEqual(
    [...before.filter((key) => !keys.includes(key)), blobKey("space_of_blobs_33", "stage_1.1")].sort(),
  );
});
