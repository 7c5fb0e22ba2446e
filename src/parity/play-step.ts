import type { Conversation, Said } from "./entry-point.ts";
import type { Step } from "./scenes.ts";

/** Does one step of a scene. Returns what came of its turns, in the order in which they were asked for. */
export async function playStep(conversation: Conversation, step: Step): Promise<Said[]> {
  switch (step.do) {
    case "put":
      await conversation.put(step.path, new TextEncoder().encode(step.text));
      return [];
    case "say":
      return [await sayAndCancel(conversation, step)];
    case "queue":
      return await queue(conversation, step);
  }
}

async function sayAndCancel(conversation: Conversation, step: Extract<Step, { do: "say" }>): Promise<Said> {
  const { prompt, cancel = false, resultOnly = false } = step;
  const cancelling = meanwhile(() => conversation.cancel());
  const said = await conversation.say(prompt, { resultOnly, ...(cancel ? { onToolCall: cancelling.begin } : {}) });
  await cancelling.settled();
  return said;
}

/** Whatever the machine's pace: each step is taken when the one before was seen. */
async function queue(conversation: Conversation, { behind, prompt }: Extract<Step, { do: "queue" }>): Promise<Said[]> {
  const running = Promise.withResolvers<void>();
  const cancelling = meanwhile(() => conversation.cancel());
  const first = conversation.say(behind, { onToolCall: running.resolve });
  const second = Promise.race([running.promise, first]).then(() =>
    conversation.say(prompt, { onQueued: cancelling.begin }),
  );
  const said = await Promise.all([first, second]);
  await cancelling.settled();
  return said;
}

/** Something that is done while something else is waited for; what it throws is thrown when it is asked for. */
function meanwhile(act: () => Promise<void>) {
  let outcome: Promise<{ thrown: unknown } | null> = Promise.resolve(null);
  return {
    begin(): void {
      outcome = act().then(
        () => null,
        (thrown: unknown) => ({ thrown }),
      );
    },
    async settled(): Promise<void> {
      const failed = await outcome;
      if (failed !== null) throw failed.thrown;
    },
  };
}
