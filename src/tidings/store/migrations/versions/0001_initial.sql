-- The first schema. Tables that only grow are partitioned by time through their UUIDv7 ids, a week each,
-- with a default partition behind them so that accepting never depends on upkeep.

-- ---------------------------------------------------------------- partitions

CREATE FUNCTION uuid_first_at(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

CREATE FUNCTION uuid_time(id uuid) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
  SELECT to_timestamp(('x' || lpad(left(replace(id::text, '-', ''), 12), 16, '0'))::bit(64)::bigint / 1000.0)
$$;

-- A week whose rows are in the default partition already, because nobody made its own in time, stays
-- there: they cannot be in two places, and moving them would hold up accepting.
CREATE FUNCTION ensure_partitions(parent text, from_moment timestamptz, weeks int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  key text := substring(pg_get_partkeydef(parent::regclass) FROM '\((.+)\)');
  week timestamptz := date_trunc('week', from_moment, 'UTC');
  first uuid;
  beyond uuid;
  name text;
  taken bool;
  made int := 0;
BEGIN
  FOR i IN 0 .. weeks - 1 LOOP
    name := parent || to_char((week + i * interval '7 days') AT TIME ZONE 'UTC', '_IYYY"w"IW');
    CONTINUE WHEN to_regclass(name) IS NOT NULL;
    first := uuid_first_at(week + i * interval '7 days');
    beyond := uuid_first_at(week + (i + 1) * interval '7 days');
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= $1 AND %I < $2)', parent || '_default', key, key)
      INTO taken USING first, beyond;
    CONTINUE WHEN taken;
    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name, parent, first, beyond);
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;

-- ---------------------------------------------------------------- who may call

CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  role text NOT NULL CHECK (role IN ('sender', 'editor', 'viewer', 'admin')),
  hint text NOT NULL,             -- the first characters, to recognise the key by
  hash bytea NOT NULL UNIQUE,     -- SHA-256 of the key, which has 256 random bits
  created_at timestamptz NOT NULL DEFAULT now(),
  revoked_at timestamptz
);

-- ---------------------------------------------------------------- content

CREATE TABLE templates (
  id text PRIMARY KEY,
  current_version int NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE template_versions (
  template_id text NOT NULL REFERENCES templates (id),
  version int NOT NULL,
  name text NOT NULL,
  category text NOT NULL,
  on_unknown text NOT NULL CHECK (on_unknown IN ('resend', 'hold')),
  content json NOT NULL,          -- not jsonb, which forgets the order of a payload's members
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid,
  PRIMARY KEY (template_id, version)
);

-- ---------------------------------------------------------------- people

CREATE TABLE users (
  id text PRIMARY KEY,
  sealed bytea NOT NULL,          -- addresses and attributes
  email_hash bytea,
  phone_hash bytea,
  locale text,
  timezone text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_email ON users (email_hash) WHERE email_hash IS NOT NULL;
CREATE INDEX users_phone ON users (phone_hash) WHERE phone_hash IS NOT NULL;

CREATE TABLE devices (
  id uuid PRIMARY KEY,
  user_id text NOT NULL,
  platform text NOT NULL,
  token_hash bytea NOT NULL UNIQUE,
  sealed_token bytea NOT NULL,
  state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired')),
  reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX devices_user ON devices (user_id);

CREATE TABLE preferences (
  user_id text PRIMARY KEY,
  channels jsonb NOT NULL DEFAULT '{}',
  categories jsonb NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE suppressions (
  channel text NOT NULL,
  address_hash bytea NOT NULL,
  sealed_address bytea NOT NULL,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  PRIMARY KEY (channel, address_hash)
);

-- ---------------------------------------------------------------- notifications and their deliveries
-- No foreign keys between the hot tables: they are written together in one transaction, and dropped
-- together by partition.

CREATE TABLE notifications (
  id uuid NOT NULL,               -- UUIDv7: also says when it was accepted
  api_key_id uuid NOT NULL,
  template_id text NOT NULL,
  template_version int NOT NULL,
  category text NOT NULL,
  priority smallint NOT NULL,
  routing text NOT NULL CHECK (routing IN ('all', 'fallback')),
  on_unknown text NOT NULL CHECK (on_unknown IN ('resend', 'hold')),
  user_id text,
  correlation_id text,
  collapse_key text,
  batch_id uuid,
  send_at timestamptz,
  expires_at timestamptz,
  sealed bytea NOT NULL,          -- template data, recipient, metadata
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX notifications_correlation ON notifications (correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX notifications_user ON notifications (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX notifications_batch ON notifications (batch_id) WHERE batch_id IS NOT NULL;

CREATE TABLE deliveries (
  notification_id uuid NOT NULL,
  id uuid NOT NULL,               -- notification_id + 1, + 2, …
  channel text NOT NULL,
  address_hash bytea NOT NULL,    -- keyed; empty where there is no address
  sealed_address bytea,
  status text NOT NULL CHECK (status IN ('pending', 'sent', 'delivered', 'failed', 'bounced',
    'suppressed', 'skipped', 'expired', 'cancelled', 'unknown')),
  reason text,
  detail text,
  account text,
  attempts smallint NOT NULL DEFAULT 0,
  provider_message_id text,
  sent_at timestamptz,
  delivered_at timestamptz,
  updated_at timestamptz,
  PRIMARY KEY (notification_id, channel, address_hash)
) PARTITION BY RANGE (notification_id);
CREATE INDEX deliveries_address ON deliveries (address_hash) WHERE address_hash <> '';

CREATE TABLE attempts (           -- append-only: one row per call to a provider, written when its outcome is known
  delivery_id uuid NOT NULL,
  number smallint NOT NULL,
  account text,
  started_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('accepted', 'transient', 'permanent', 'unknown')),
  reason text NOT NULL,
  detail text,
  PRIMARY KEY (delivery_id, number)
) PARTITION BY RANGE (delivery_id);

CREATE TABLE receipts (           -- what providers report later
  delivery_id uuid NOT NULL,
  id uuid NOT NULL,
  type text NOT NULL,
  occurred_at timestamptz NOT NULL,
  detail text,
  PRIMARY KEY (delivery_id, id)
) PARTITION BY RANGE (delivery_id);

CREATE TABLE inbox (
  id uuid NOT NULL,               -- the delivery's id
  user_id text NOT NULL,
  category text NOT NULL,
  sealed bytea NOT NULL,
  read_at timestamptz,
  PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX inbox_user ON inbox (user_id, id);
CREATE INDEX inbox_unread ON inbox (user_id) WHERE read_at IS NULL;

DO $$
DECLARE parent text;
BEGIN
  FOREACH parent IN ARRAY ARRAY['notifications', 'deliveries', 'attempts', 'receipts', 'inbox'] LOOP
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
    PERFORM ensure_partitions(parent, now() - interval '7 days', 6);
  END LOOP;
END $$;

CREATE TABLE idempotency_keys (
  api_key_id uuid NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,     -- of the request's body
  notification_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (api_key_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- ---------------------------------------------------------------- the queue
-- due_at is when a worker may take the entry; while it is leased, when the lease ends. So taking over
-- what a dead worker held is nothing but claiming: there is one index and one condition.

CREATE TABLE queue (
  delivery_id uuid PRIMARY KEY,
  notification_id uuid NOT NULL,
  priority smallint NOT NULL,
  due_at timestamptz NOT NULL,
  lease uuid,                     -- fencing token of the claim that holds it
  started_at timestamptz,         -- intent: a call to the provider may be under way since then
  attempts smallint NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_due ON queue (priority, due_at);

-- ---------------------------------------------------------------- the development outbox

CREATE TABLE outbox (
  id uuid PRIMARY KEY,            -- the delivery's id
  channel text NOT NULL,
  account text NOT NULL,
  sealed bytea NOT NULL,
  stored_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- ---------------------------------------------------------------- this installation

CREATE TABLE installation (       -- facts that must fit the configuration, e.g. a probe sealed by the key ring
  name text PRIMARY KEY,
  value bytea NOT NULL
);

-- ---------------------------------------------------------------- what caches listen to

CREATE FUNCTION tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tidings_changes', TG_TABLE_NAME || ':' || NEW.id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER templates_change AFTER INSERT OR UPDATE ON templates FOR EACH ROW EXECUTE FUNCTION tell_change();
CREATE TRIGGER api_keys_change AFTER INSERT OR UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION tell_change();
