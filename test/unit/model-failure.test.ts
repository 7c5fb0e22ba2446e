import { expect, it, onTestFinished, vi } from "vitest";
import { toModelError } from "../../src/engine/model-failure.ts";
import { ModelError } from "../../src/engine/ports.ts";

it("[MODEL25] what nobody foresaw is told to the operator alone, and what the model said to everyone", () => {
  const printed = vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => printed.mockRestore());
  const unforeseen = new Error("at 10.0.0.7 with sk-secret");
  const { code, message } = toModelError(unforeseen);
  expect({ code, message }).toEqual({ code: "network", message: "The model could not be called." });
  expect(printed).toHaveBeenCalledExactlyOnceWith("model:", unforeseen);
  const foreseen = new ModelError("overloaded_error", "Overloaded");
  expect(toModelError(foreseen)).toBe(foreseen);
});
