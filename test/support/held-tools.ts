import * as z from "zod";
import type { Tool } from "../../src/engine/ports.ts";

const numbered = z.looseObject({ id: z.string() });

/** Two tools that hold each call until they are told to let it go: one that may run again, and one that may not. */
export class HeldTools {
  readonly tools = [this.#tool("safe"), this.#tool("unsafe")];
  /** How often each call was run, by the id in its input. */
  readonly runs = new Map<string, number>();
  #gate: PromiseWithResolvers<void> | null = Promise.withResolvers<void>();
  #held = 0;

  /** Whether a call is held. */
  get held(): boolean {
    return this.#held > 0;
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = Promise.withResolvers<void>();
  }

  /** From here on nothing is held. */
  letGo(): void {
    this.#gate?.resolve();
    this.#gate = null;
  }

  #tool(name: "safe" | "unsafe"): Tool {
    return {
      name,
      description: "",
      input: numbered,
      readOnly: false,
      retry: name,
      run: async (input) => {
        const id = `${name} ${numbered.parse(input).id}`;
        this.runs.set(id, (this.runs.get(id) ?? 0) + 1);
        this.#held++;
        await this.#gate?.promise;
        this.#held--;
        return "ended";
      },
    };
  }
}
