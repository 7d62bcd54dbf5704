-- The delivery engine: fair lanes, failover, breakers, limits, batches, replays.

-- ---------------------------------------------------------------- the queue

-- A small number for each key, so that a lane fits an integer (domain/lanes.py).
ALTER TABLE api_keys ADD COLUMN number int GENERATED ALWAYS AS IDENTITY UNIQUE;

ALTER TABLE queue
  ADD COLUMN lane int NOT NULL DEFAULT 0,             -- application and channel: what is shared fairly
  ADD COLUMN deferred smallint NOT NULL DEFAULT 0,    -- attempts that do not count, because it was only too early
  ADD COLUMN maybe_taken bool NOT NULL DEFAULT false, -- an earlier attempt ended as unknown
  ADD COLUMN account text,                            -- the one that may have sent it, so that no other may
  ADD COLUMN avoid text NOT NULL DEFAULT '';          -- accounts that failed since the last wait, with spaces between
DROP INDEX queue_due;
CREATE INDEX queue_due ON queue (priority, lane, due_at);

ALTER TABLE attempts ADD COLUMN choice text;          -- why this account: a code of domain/routing.py

-- ---------------------------------------------------------------- accounts' health, shared by all workers

CREATE TABLE account_health (
  account text PRIMARY KEY,
  state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'open', 'half_open')),
  reason text,
  since timestamptz NOT NULL DEFAULT now(),
  probe_at timestamptz,
  details jsonb NOT NULL DEFAULT '{}'  -- what the decisions are made from: store/account_health.py
) WITH (fillfactor = 50);

CREATE TABLE account_events (
  id uuid PRIMARY KEY,            -- UUIDv7: the order of events
  account text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  state_from text NOT NULL,
  state_to text NOT NULL,
  reason text NOT NULL,
  detail text NOT NULL DEFAULT ''
);
CREATE INDEX account_events_account ON account_events (account, id);

-- ---------------------------------------------------------------- rate limits

-- What was granted of late, domain/limits.py. Times are microseconds since 1970 on this server's clock.
CREATE TABLE limits (
  key text COLLATE "C" PRIMARY KEY,     -- the limit's name and what is counted; where that is a person, a keyed hash
  ends bigint[] NOT NULL DEFAULT '{}',  -- of slices of time, with how much each holds
  counts int[] NOT NULL DEFAULT '{}',
  spread_until bigint NOT NULL DEFAULT 0, -- the time that was given to the last of those that wait
  empty_at timestamptz NOT NULL DEFAULT now() + interval '10 minutes' -- from then on it says nothing; rounded up, so
                                        -- that most updates leave the index alone
) WITH (fillfactor = 50);
CREATE INDEX limits_empty ON limits (empty_at);

-- ---------------------------------------------------------------- batches and replays

CREATE TABLE batches (
  id uuid PRIMARY KEY,            -- UUIDv7: also says when it was opened
  api_key_id uuid NOT NULL,
  name text,
  expected bigint,                -- how many notifications whoever opened it said there would be
  key text,                       -- idempotency key of the stream that fills it
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'cancelled')),
  sealed_at timestamptz,          -- nothing is added any more
  lines bigint NOT NULL DEFAULT 0, -- of its stream: written in the transaction that stores them
  refused bigint NOT NULL DEFAULT 0, -- of these
  UNIQUE (api_key_id, key)
);
CREATE INDEX batches_stopped ON batches (id) WHERE state <> 'running';
CREATE TRIGGER batches_change AFTER UPDATE OF state ON batches FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION tell_change();

-- What is to be done with all of a batch, page by page; the row is where to go on. Gone when done.
CREATE TABLE batch_sweeps (
  batch_id uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('resume', 'cancel', 'retry')),
  include_unknown bool NOT NULL DEFAULT false,
  after uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000', -- the last notification that is done
  PRIMARY KEY (batch_id, kind)
);

-- In the order of ids: for pages, and to read a batch and its deliveries side by side.
DROP INDEX notifications_batch;
CREATE INDEX notifications_batch ON notifications (batch_id, id) WHERE batch_id IS NOT NULL;

-- A round of tries begins anew when a batch's failed deliveries are retried.
ALTER TABLE queue
  ADD COLUMN spent smallint NOT NULL DEFAULT 0,       -- attempts of earlier rounds, which do not count any more
  ADD COLUMN round_at timestamptz;                    -- when this round began; null for the first

-- ---------------------------------------------------------------- once only

ALTER TABLE template_versions ADD COLUMN deduplicate_seconds int;

CREATE TABLE collapsing (         -- the newest notification of each collapse key and recipient
  hash bytea PRIMARY KEY,
  notification_id uuid NOT NULL,
  previous uuid,
  used_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

CREATE TABLE deduplication (      -- until when a template's repeats to a recipient are left out
  hash bytea PRIMARY KEY,
  until timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX deduplication_until ON deduplication (until);

ALTER TABLE notifications ADD COLUMN replay_of uuid;
