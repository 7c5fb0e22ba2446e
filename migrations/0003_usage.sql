-- What was used: a row for each ended turn and each model that it used. It is written once, with the index row of its
-- session, and stays when the session is deleted: it is the bill, and holds nothing of what was said.
-- The key begins with what is asked for, whose and when, so that there is no index: a turn costs one row a model here
-- (two for a turn that began on a fast model), beside the one of its session's index row. A repeated write costs none.
-- Everyone's usage of a time is read user by user along the same key.
CREATE TABLE usage (
  -- The owner of the session.
  user_id TEXT NOT NULL,
  -- Milliseconds since the epoch.
  ended_at INTEGER NOT NULL,
  turn_id TEXT NOT NULL,
  model TEXT NOT NULL,
  session_id TEXT NOT NULL,
  model_calls INTEGER NOT NULL,
  -- Of the whole turn, with the first of its models; 0 with the others.
  tool_calls INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_input_tokens INTEGER NOT NULL,
  cache_creation_input_tokens INTEGER NOT NULL,
  -- By the prices of that time; NULL where a call had none.
  cost_usd REAL,
  PRIMARY KEY (user_id, ended_at, turn_id, model)
) WITHOUT ROWID;
