import { type Principal, scope } from "../protocol/principal.ts";

/** Whoever runs the program: the files are theirs anyway. */
export const LOCAL_USER: Principal = { user_id: "local", scopes: scope.options };
