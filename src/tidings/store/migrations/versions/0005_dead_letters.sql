-- ---------------------------------------------------------------- what failed for good

-- A row of its own, not an index on deliveries.status: that would cost every settlement a new index entry.
CREATE TABLE dead_letters (
  id uuid PRIMARY KEY             -- as UUIDv7: also says when it failed
    DEFAULT (left(uuid_first_at(clock_timestamp())::text, 13) || '-7' || substr(gen_random_uuid()::text, 16))::uuid,
  delivery_id uuid NOT NULL UNIQUE,
  notification_id uuid NOT NULL,
  api_key_id uuid NOT NULL,
  batch_id uuid,
  template_id text NOT NULL,
  channel text NOT NULL,
  status text NOT NULL CHECK (status IN ('failed', 'bounced', 'unknown')),
  reason text,
  account text,                   -- the last that was called
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'replayed', 'discarded')),
  changed_at timestamptz,         -- when it was last replayed or discarded
  replays uuid[] NOT NULL DEFAULT '{}' -- the notifications that were made of it, the oldest first
);
CREATE INDEX dead_letters_waiting ON dead_letters (id) INCLUDE (channel) WHERE state = 'waiting';
CREATE INDEX dead_letters_batch ON dead_letters (batch_id, id) WHERE batch_id IS NOT NULL;

INSERT INTO dead_letters (id, delivery_id, notification_id, api_key_id, batch_id, template_id, channel, status, reason,
  account)
SELECT (left(uuid_first_at(coalesce(d.updated_at, uuid_time(d.id)))::text, 13) || '-7'
         || substr(gen_random_uuid()::text, 16))::uuid,
  d.id, n.id, n.api_key_id, n.batch_id, n.template_id, d.channel, d.status, d.reason,
  coalesce(d.account, (SELECT a.account FROM attempts a WHERE a.delivery_id = d.id ORDER BY a.number DESC LIMIT 1))
FROM deliveries d JOIN notifications n ON n.id = d.notification_id
WHERE d.status IN ('failed', 'bounced', 'unknown') AND coalesce(d.reason, '') NOT IN ('cancelled', 'collapsed', 'expired');
