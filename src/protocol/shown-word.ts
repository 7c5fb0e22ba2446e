/** What stands in logs and spans of words that come from outside: none of them is a sentence, and none a key. */

/** A stop reason or an error's code; `other` for what does not look like one. */
export function shownWord(word: string | null): string | null {
  return word === null || /^[a-z][a-z_]{0,39}$/.test(word) ? word : "other";
}

/** A model's name; `other` for what does not look like one: a client may name a model anything. */
export function shownModel(name: string): string {
  return /^[a-z0-9][\w.:/@-]{0,63}$/i.test(name) ? name : "other";
}
