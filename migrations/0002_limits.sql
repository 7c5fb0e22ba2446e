-- Both tables stay empty where no limit is set.

-- Sessions that are being created and have no row in the index yet.
CREATE TABLE session_seats (
  session_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  -- Milliseconds since the epoch.
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Sessions of which a turn runs.
CREATE TABLE turn_leases (
  session_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  -- Which taking it is, so that one that is given back late takes nothing away.
  lease_id TEXT NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX turn_leases_by_user ON turn_leases (user_id, expires_at);
