import { createTwoFilesPatch, OMIT_HEADERS } from "diff";
import { firstChars } from "../protocol/first-chars.ts";

/** Above this many changed lines the diff is left out, since it would cost more than it says. */
const DIFF_MAX_CHANGES = 400;
const DIFF_MAX_CHARS = 8_000;

/** What a file's new text changes, as a diff that a result can show. */
export function describeChange(before: string, after: string): string {
  const options = { context: 2, maxEditLength: DIFF_MAX_CHANGES, headerOptions: OMIT_HEADERS };
  const diff = createTwoFilesPatch("", "", before, after, undefined, undefined, options);
  if (diff === undefined) return " The change is too large to show.";
  return diff.length <= DIFF_MAX_CHARS
    ? `\n${diff}`
    : `\n${firstChars(diff, DIFF_MAX_CHARS)}\n[The diff was cut here.]`;
}
