-- ---------------------------------------------------------------- topics

CREATE TABLE topics (
  id text PRIMARY KEY,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Of any user id: whoever only reads an inbox has no row in users.
CREATE TABLE subscriptions (
  topic_id text NOT NULL REFERENCES topics (id) ON DELETE CASCADE,
  user_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (topic_id, user_id)
);
CREATE INDEX subscriptions_user ON subscriptions (user_id, topic_id);

-- ---------------------------------------------------------------- declared attributes and segments

CREATE TABLE attributes (
  name text PRIMARY KEY,
  type text NOT NULL CHECK (type IN ('string', 'number', 'boolean', 'date', 'strings')),
  description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- The values of declared attributes, in the open, so that the database can choose by them. Dates are UTC in
-- one form, so that their texts are in the order of time.
ALTER TABLE users ADD COLUMN declared jsonb NOT NULL DEFAULT '{}';
CREATE INDEX users_declared ON users USING gin (declared jsonb_path_ops);

-- After a change of the declarations the values of all users are read anew, page by page: up to which user
-- that was done. Gone when done.
CREATE TABLE attribute_fills (
  one bool PRIMARY KEY DEFAULT true CHECK (one),
  after text NOT NULL DEFAULT ''
);

CREATE TABLE segments (
  id text PRIMARY KEY,
  name text NOT NULL,
  filter json NOT NULL,           -- as it was written: domain/filters.py
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------- broadcasts

CREATE TABLE broadcasts (
  id uuid PRIMARY KEY REFERENCES batches (id) ON DELETE CASCADE,
  fingerprint bytea NOT NULL,     -- of the request, for its idempotency key
  template_id text NOT NULL,
  template_version int,           -- with audience_at: the version that all of them get
  audience jsonb NOT NULL,        -- {"everyone": true} or {"topics": […], "segments": […]}
  sealed bytea NOT NULL,          -- the request that each of them gets
  starts_at timestamptz NOT NULL,
  audience_at timestamptz,        -- when it began: the segments are as they were then, and dates count from then
  filters jsonb,                  -- of its segments, at that time
  after text NOT NULL DEFAULT '', -- the last user that is done; all of them when it is finished
  busy_until timestamptz NOT NULL DEFAULT '-infinity', -- whoever works on it holds it until then
  finished_at timestamptz,
  problem text                    -- why it ended before all were reached
);
CREATE INDEX broadcasts_open ON broadcasts (starts_at) WHERE finished_at IS NULL;
CREATE TRIGGER broadcasts_change AFTER INSERT ON broadcasts FOR EACH ROW EXECUTE FUNCTION tell_change();
