-- Tokens. What is sent is never stored: its digest is, and nothing that it could be made from.
CREATE TABLE tokens (
  -- Its ULID stands in the token too, so that a token is looked up by it. It ascends with the time.
  token_id TEXT PRIMARY KEY,
  -- The SHA-256 of the whole token, in hex.
  digest TEXT NOT NULL,
  name TEXT NOT NULL,
  user_id TEXT NOT NULL,
  -- A JSON array.
  scopes TEXT NOT NULL,
  -- Milliseconds since the epoch.
  created_at INTEGER NOT NULL,
  -- NULL: it does not end by itself.
  expires_at INTEGER,
  -- The row of a revoked token stays, so that it is listed and its id is never free.
  revoked_at INTEGER
) WITHOUT ROWID;

-- On which sessions a token has opened a socket: whom to tell when it is revoked. A row is written before the first
-- such socket is opened, and goes when the session was told, or with the session.
CREATE TABLE token_sessions (
  token_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  -- When the session is to be told that the token was revoked; NULL while it is not.
  due_at INTEGER,
  PRIMARY KEY (token_id, session_id)
) WITHOUT ROWID;
CREATE INDEX token_sessions_by_session ON token_sessions (session_id);
-- Empty but while somebody is to be told, so that to look for them reads nothing.
CREATE INDEX token_sessions_due ON token_sessions (due_at) WHERE due_at IS NOT NULL;
