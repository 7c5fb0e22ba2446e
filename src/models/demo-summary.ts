/** What `Write a summary of what you can do to P` writes. */
export const SUMMARY = `# What I can do

I am an agent behind a Turnpike gateway. You send me a message; I work on it in a workspace of my own and you watch
every step as it happens.

## In the workspace

- **Look around**: list folders, find files by a pattern such as \`**/*.md\`, search their text, read them.
- **Make files**: write a new file, add to the end of one, replace a piece of text in one, delete one.
- **Hand over results**: whatever I put into \`work_products/\` is announced to you as it appears, with its size, its
  type and a link to fetch it.

I cannot leave the workspace: a path that leads out of it is refused.

## While I work

- You see my text as it is written, every tool call with its input, and the beginning of every result.
- You can close the window. The work goes on, and when you come back you get what you missed, once and in order.
- You can send the next message while I am busy. It waits for its turn. Or you can cancel what I am doing.
- A failed call of the model is tried again by itself, and you see that it is.

## Good to know

- The same session looks the same over REST, server-sent events, a WebSocket and the command line.
- Many people can watch one session at the same time.
- This text comes from the demo model, which follows a few fixed sentences and needs no key. With a key of your own, a
  language model does the work with the same tools.
`;
