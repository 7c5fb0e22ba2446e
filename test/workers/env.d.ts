declare namespace Cloudflare {
  interface Env {
    /** The platform's, with two requests a minute. */
    SMALL_RATE_LIMITER: RateLimit;
    /** The D1 migrations, read in Node and handed in by the test configuration. */
    TEST_MIGRATIONS: import("cloudflare:test").D1Migration[];
  }
}
