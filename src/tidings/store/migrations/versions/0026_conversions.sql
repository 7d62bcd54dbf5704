-- What people did, as the application tells it; and the message that it is put down to.
CREATE TABLE conversions (
  id uuid PRIMARY KEY,            -- UUIDv7: when it was told
  api_key_id uuid NOT NULL,
  name text NOT NULL,
  user_id text,
  occurred_at timestamptz NOT NULL,
  value numeric(20, 6),
  currency text,
  event_id text,                  -- the application's, by which it is told once
  fingerprint bytea NOT NULL,     -- of what was told under it
  told_delivery uuid,             -- the delivery or notification that the application named
  sealed bytea NOT NULL,          -- metadata
  look_at timestamptz,            -- when it is to be put down to a message; null once that is done
  delivery_id uuid,               -- to which it was; null where nothing came before it
  by text CHECK (by IN ('named', 'clicked', 'opened')),
  template_id text,
  template_version int,
  channel text,
  batch_id uuid
);
CREATE UNIQUE INDEX conversions_event ON conversions (api_key_id, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX conversions_look ON conversions (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX conversions_template ON conversions (template_id, delivery_id) WHERE template_id IS NOT NULL;
CREATE INDEX conversions_batch ON conversions (batch_id, delivery_id) WHERE batch_id IS NOT NULL;
CREATE INDEX conversions_user ON conversions (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX conversions_told ON conversions (told_delivery) WHERE told_delivery IS NOT NULL;
CREATE INDEX conversions_delivery ON conversions (delivery_id) WHERE delivery_id IS NOT NULL;

-- What a user opened and followed, to find what came before a conversion.
CREATE INDEX engagements_user ON engagements (user_id, person_at) WHERE user_id IS NOT NULL AND person_at IS NOT NULL;
