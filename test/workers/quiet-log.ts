import { writeLinesTo, writeToConsole } from "../../src/logging/log.ts";

// Thousands of requests and turns end well, and nobody reads their lines.
writeLinesTo((line) => {
  if (line.level !== "info") writeToConsole(line);
});
