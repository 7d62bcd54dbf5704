-- ---------------------------------------------------------------- recurring schedules

CREATE TABLE schedules (
  id uuid PRIMARY KEY,            -- UUIDv7: also says when it was made
  api_key_id uuid NOT NULL,
  name text,
  cron text NOT NULL,
  timezone text NOT NULL,
  catch_up text NOT NULL CHECK (catch_up IN ('skip', 'one', 'all')),
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'cancelled')),
  sealed bytea NOT NULL,          -- the request that each run makes
  next_run timestamptz,           -- null when none is left
  runs bigint NOT NULL DEFAULT 0, -- that made a notification
  last_run timestamptz,
  last_notification uuid,
  last_problem text,              -- why the last run made none
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX schedules_due ON schedules (next_run) WHERE state = 'active';
