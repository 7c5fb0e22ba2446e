-- The sessions index. The object is the truth; its row here follows through a retried outbox.
-- A row whose summary is NULL is a tombstone: it stays, so that a late write cannot bring the session back.
CREATE TABLE sessions (
  session_id TEXT PRIMARY KEY,
  -- Grows with every change of the session, so that an old write never beats a newer one.
  version INTEGER NOT NULL,
  user_id TEXT,
  status TEXT,
  updated_at TEXT,
  -- The title in NFC and lower case, for searching: SQLite knows the case of ASCII alone.
  title_folded TEXT,
  -- The session as the API shows it, as JSON.
  summary TEXT
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, updated_at, session_id) WHERE summary IS NOT NULL;
CREATE INDEX sessions_by_time ON sessions (updated_at, session_id) WHERE summary IS NOT NULL;

-- Which sessions share the blobs of a space. A space's blobs go when its last session goes.
CREATE TABLE spaces (
  session_id TEXT PRIMARY KEY,
  space_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX spaces_by_space ON spaces (space_id);

-- Creations with an Idempotency-Key, written before the object, so that a repeat finishes what it names.
CREATE TABLE creations (
  user_id TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  session_id TEXT NOT NULL,
  -- Milliseconds since the epoch.
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
CREATE INDEX creations_by_time ON creations (created_at);
