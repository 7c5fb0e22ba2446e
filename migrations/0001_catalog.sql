-- The sessions index. The object is the truth; its row here follows through a retried outbox.
CREATE TABLE sessions (
  session_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  status TEXT NOT NULL,
  title TEXT,
  updated_at TEXT NOT NULL,
  -- Grows with every change of the session, so that an old write never beats a newer one.
  version INTEGER NOT NULL,
  -- A tombstone: the row stays, so that a late write cannot bring the session back.
  deleted INTEGER NOT NULL DEFAULT 0,
  -- The session as the API shows it, as JSON; NULL in a tombstone.
  summary TEXT
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, updated_at, session_id) WHERE deleted = 0;
CREATE INDEX sessions_by_time ON sessions (updated_at, session_id) WHERE deleted = 0;

-- Which sessions share the blobs of a space. A space's blobs go when its last session goes.
CREATE TABLE spaces (
  space_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  PRIMARY KEY (space_id, session_id)
) WITHOUT ROWID;

-- Creations with an Idempotency-Key, written before the object, so that a repeat finishes what it names.
CREATE TABLE creations (
  user_id TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  session_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
