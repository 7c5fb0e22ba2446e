export const WRANGLER_SETTINGS = {
  WRANGLER_SEND_METRICS: "false",
  // The banner looks for updates in the package registry.
  WRANGLER_HIDE_BANNER: "true",
  // Else each start leaves a file in the home folder.
  WRANGLER_WRITE_LOGS: "false",
  // Settings come from the flags, the environment and `.dev.vars`, and from nowhere else.
  CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "false",
};
