import type * as z from "zod";

/** What another program wrote, as the JSON that it is to be; null where it is something else. */
export function parsedJson<T>(shape: z.ZodType<T>, text: string): T | null {
  try {
    return shape.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
