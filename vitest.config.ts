import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Only what hangs is to fail by the clock, also on a machine that does other work. */
const TIMEOUT_MS = 20_000;
/** The same for tests that start real processes. */
const PROCESS_TIMEOUTS = { testTimeout: 120_000, hookTimeout: 120_000 };

/** Each of these takes half a minute by itself: among the others they would take most of their time on a slow machine. */
const LONG = ["test/e2e/chaos.test.ts", "test/e2e/parity.test.ts"];

export default defineConfig({
  test: {
    // Most tests wait for processes, timers and disks. By default one core of two would be left to Vitest itself.
    maxWorkers: 3,
    // But for e2e, a worker runs one file after the other (`isolate: false`), for to start one and load everything takes
    // longer than most files. So a file leaves nothing that another could meet: its spies and clocks are taken back,
    // and its sessions, spaces and users are its own.
    projects: [
      { test: { name: "unit", isolate: false, include: ["test/unit/**/*.test.ts"], testTimeout: TIMEOUT_MS } },
      {
        plugins: [
          cloudflareTest(async ({ inject }) => ({
            wrangler: { configPath: "./wrangler.toml" },
            // The sources, in the place of what is built of them.
            main: "./src/index.ts",
            miniflare: {
              // One token makes the requests of many tests; those of the limit have a limiter of their own.
              ratelimits: {
                RATE_LIMITER: { namespace_id: "1001", simple: { limit: 1_000_000, period: 60 } },
                SMALL_RATE_LIMITER: { namespace_id: "1002", simple: { limit: 2, period: 60 } },
              },
              bindings: {
                GATEWAY_TOKEN: "test-admin-token",
                // Sessions that name no model get the demo; any other model is the scripted server's.
                GATEWAY_MODEL: "demo",
                ANTHROPIC_API_KEY: "test-api-key",
                ANTHROPIC_BASE_URL: inject("messagesServerUrl"),
                TEST_MIGRATIONS: await readD1Migrations("./migrations"),
              },
            },
          })),
        ],
        test: {
          name: "workers",
          isolate: false,
          include: ["test/workers/**/*.test.ts"],
          testTimeout: TIMEOUT_MS,
          globalSetup: ["test/support/messages-global-setup.ts", "test/support/openapi-global-setup.ts"],
          setupFiles: ["test/workers/apply-migrations.ts", "test/workers/quiet-log.ts"],
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          exclude: LONG,
          ...PROCESS_TIMEOUTS,
          globalSetup: ["test/support/build-global-setup.ts"],
        },
      },
      // After all others, beside nothing but each other.
      { test: { name: "long", include: LONG, ...PROCESS_TIMEOUTS, sequence: { groupOrder: 1 } } },
    ],
  },
});
