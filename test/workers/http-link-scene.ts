import { type Asked, ask, ORIGIN } from "./http-scene.ts";
import { eventsOf, newLink, newWaiting, sessionAt } from "./http-waiting-scene.ts";

export const FORM = { "content-type": "application/x-www-form-urlencoded" };
export const ASKING = { permissions: { write: "ask" } };

/** One who has the link and nothing else. */
export const openLink = (url: string, { method = "GET", ...asked }: Asked = {}) =>
  ask(method, url.replace(ORIGIN, ""), { token: null, ...asked });
export const postLink = (url: string, body: string, asked: Asked = {}) =>
  ask("POST", url.replace(ORIGIN, ""), { token: null, headers: FORM, body, ...asked });
export const decideBy = (url: string, response: string) => postLink(url, new URLSearchParams({ response }).toString());

/** A turn that waits for an approval, and a link to it. */
export async function newLinked(
  settings: object = ASKING,
  user_input = "Write 'secret plan' to a.txt",
  asked: Asked = {},
) {
  const waiting = await newWaiting(settings, user_input, asked);
  const { url, expires_at } = await newLink(waiting.path, waiting.inputId);
  return { ...waiting, url, expires_at };
}

/** All that a client can see of a session. */
export async function wholeOf(path: string): Promise<unknown> {
  const { updated_at: _, ...session } = await sessionAt(path);
  const files = await (await ask("GET", `${path}/files`)).json();
  return { session, events: await eventsOf(path), files };
}
