import type { TestProject } from "vitest/node";
import { startMessagesServer } from "./messages-server.ts";
import type {} from "./scripted-model.ts";

/** Runs the scripted server of the Messages API beside the tests and tells them its address. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startMessagesServer();
  project.provide("messagesServerUrl", server.url);
  return server.close;
}
