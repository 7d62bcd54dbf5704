-- ---------------------------------------------------------------- users and their devices

-- Apart from the addresses, which are opened for every notification.
ALTER TABLE users ADD COLUMN sealed_attributes bytea;

ALTER TABLE devices ADD CONSTRAINT devices_platform CHECK (platform IN ('ios', 'android', 'web'));

-- ---------------------------------------------------------------- suppressions

-- As UUIDv7, so that they can be listed by time.
CREATE FUNCTION uuid_of_time(moment timestamptz) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE STRICT AS $$
  SELECT (left(uuid_first_at(moment)::text, 13) || '-7' || substr(gen_random_uuid()::text, 16))::uuid
$$;

ALTER TABLE suppressions
  ADD COLUMN id uuid NOT NULL DEFAULT uuid_of_time(clock_timestamp()),
  ADD COLUMN category text NOT NULL DEFAULT '',   -- empty: of every category
  ADD COLUMN detail text,                         -- the delivery's reason, where a delivery led to it
  ADD COLUMN sealed_note bytea,
  ALTER COLUMN sealed_address DROP NOT NULL;      -- null: the person was erased, the hash stays
UPDATE suppressions SET id = uuid_of_time(created_at), detail = reason, reason = 'bounced';
ALTER TABLE suppressions
  DROP CONSTRAINT suppressions_pkey,
  ADD PRIMARY KEY (channel, address_hash, category),
  ADD CONSTRAINT suppressions_reason CHECK (reason IN ('bounced', 'complained', 'unsubscribed', 'manual'));
CREATE UNIQUE INDEX suppressions_id ON suppressions (id);
