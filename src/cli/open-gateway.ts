import type { Gateway } from "../client/gateway.ts";
import type { Fetch } from "../client/options.ts";
import type { InProcessGateway } from "../local/in-process-gateway.ts";
import type { Choice } from "./choose-gateway.ts";
import { gatewaySettings, modelSettings, openInProcess } from "./in-process.ts";
import { sanitizeLine } from "./sanitize.ts";
import { homeSetting, type Sources } from "./settings.ts";
import { webSocketOption } from "./web-socket.ts";
import { unknownSettings } from "./worker-variables.ts";

/** Something that never answers is given up after this time; what answered once may take as long as it needs. */
const FIRST_ANSWER_WITHIN_MS = 10_000;

export type OpenGateway = {
  gateway: Gateway;
  /** Where it is; null for one in this process. */
  address: string | null;
  /** Where this machine's own sessions are kept. */
  home: string;
  /** The other process of this machine that holds a session, such as `process 17 (turnpike chat)`; null for none. */
  otherHolder(sessionId: string): string | null;
};

export type OpenOptions = {
  sources: Sources;
  /** What other processes are told of this one, such as `turnpike chat`. */
  holder: string;
  /** Tells a person what is done for them. */
  tell(text: string): void;
};

/** Opens the gateway that was chosen. The caller closes it. @throws Failure */
export async function openGateway(choice: Choice, options: OpenOptions): Promise<OpenGateway> {
  const { sources, tell } = options;
  const home = homeSetting(sources);
  switch (choice.kind) {
    case "in-process":
      return await openLocal(options);
    case "local-gateway": {
      const { ensureLocalGateway } = await import("./ensure-local-gateway.ts");
      return await openRemote({ ...choice, token: await ensureLocalGateway(choice, sources, tell) }, home);
    }
    case "remote":
      return await openRemote(choice, home);
  }
}

async function openRemote({ baseUrl, token }: { baseUrl: string; token: string }, home: string): Promise<OpenGateway> {
  const { ExternalGateway } = await import("../client/external-gateway.ts");
  const fetch = impatientFetch(FIRST_ANSWER_WITHIN_MS);
  const gateway = new ExternalGateway({ baseUrl, token, fetch, ...(await webSocketOption()) });
  return { gateway, address: baseUrl, home, otherHolder: () => null };
}

/** Opens the gateway of this machine's own sessions. @throws Failure */
export async function openLocal({
  sources,
  holder,
  tell,
}: OpenOptions): Promise<OpenGateway & { gateway: InProcessGateway }> {
  const home = homeSetting(sources);
  const settings = { models: modelSettings(sources), gateway: gatewaySettings(sources) };
  const unknown = unknownSettings(sources);
  if (unknown !== null) tell(sanitizeLine(unknown));
  const gateway = await openInProcess({ home, ...settings, holder });
  return { gateway, address: null, home, otherHolder: (sessionId) => gateway.holderOf(sessionId) };
}

/**
 * A `fetch` that fails, as one that cannot connect, where nothing begins to answer in time. Once something has answered
 * it waits as `fetch` itself does, and always for a file that is on its way up.
 */
export function impatientFetch(withinMs: number): Fetch {
  let hasAnswered = false;
  return async (url, init) => {
    if (hasAnswered || init.body instanceof Uint8Array) return await fetch(url, init);
    const giveUp = new AbortController();
    const cause = new Error(`no answer within ${withinMs / 1_000} s`);
    const timer = setTimeout(() => giveUp.abort(new TypeError("fetch failed", { cause })), withinMs);
    const signals = [giveUp.signal, ...(init.signal ? [init.signal] : [])];
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.any(signals) });
      hasAnswered = true;
      return response;
    } finally {
      clearTimeout(timer);
    }
  };
}
