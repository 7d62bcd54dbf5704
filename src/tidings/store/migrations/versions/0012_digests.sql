-- ---------------------------------------------------------------- digests

ALTER TABLE template_versions ADD COLUMN digest json; -- domain/digests.py; null: nothing is gathered

CREATE TABLE digests (
  id uuid PRIMARY KEY DEFAULT uuid_of_time(clock_timestamp()),
  hash bytea NOT NULL,            -- of template, key and user
  user_id text NOT NULL,
  key text,
  count bigint NOT NULL,          -- notifications that joined
  closes_at timestamptz NOT NULL,
  -- of the notification that joined last: as that is sent, so is the digest
  api_key_id uuid NOT NULL,
  template_id text NOT NULL,
  template_version int NOT NULL,
  sealed bytea NOT NULL,          -- its request, without its data
  closed_at timestamptz,          -- nothing joins any more
  notification_id uuid,           -- with closed_at: the one that it becomes
  busy_until timestamptz NOT NULL DEFAULT '-infinity', -- whoever makes it holds it until then
  done_at timestamptz,            -- written with the notification
  problem text                    -- why it became none
) WITH (fillfactor = 70);
-- Exactly one is open for each of these; whoever finds none makes it, and of several at once one does.
CREATE UNIQUE INDEX digests_open ON digests (hash) WHERE closed_at IS NULL;
CREATE INDEX digests_due ON digests (closes_at) WHERE closed_at IS NULL;
CREATE INDEX digests_closed ON digests (id) WHERE closed_at IS NOT NULL AND done_at IS NULL;
CREATE INDEX digests_user ON digests (user_id, id);

CREATE TABLE digest_members (
  digest_id uuid NOT NULL REFERENCES digests (id) ON DELETE CASCADE,
  notification_id uuid NOT NULL UNIQUE,
  PRIMARY KEY (digest_id, notification_id)
);
