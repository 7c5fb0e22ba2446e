declare namespace Cloudflare {
  interface Env {
    /** The D1 migrations, read in Node and handed in by the test configuration. */
    TEST_MIGRATIONS: import("cloudflare:test").D1Migration[];
  }
}
