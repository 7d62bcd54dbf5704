-- ---------------------------------------------------------------- receipts

-- What vendors called back with, verified, until it is read. What cannot be read stays, with why.
CREATE TABLE callbacks (
  id uuid PRIMARY KEY,            -- UUIDv7
  account text NOT NULL,
  sealed bytea NOT NULL,          -- the request, as it came
  problem text
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX callbacks_unread ON callbacks (id) WHERE problem IS NULL;

-- A receipt's id is a hash of its account and of the vendor's name for the event: repeated, it is the same row.
ALTER TABLE receipts
  ADD COLUMN received_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN account text,
  ADD COLUMN bounce text,
  ADD COLUMN code text,
  ADD COLUMN sealed bytea;        -- what is personal in it: addresses, URL, agent, text

-- Those of no delivery that is known here: of messages that others sent, and those that people sent.
CREATE TABLE stray_receipts (
  id uuid PRIMARY KEY,
  account text NOT NULL,
  type text NOT NULL,
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  bounce text,
  code text,
  detail text,
  sealed bytea
);
CREATE INDEX stray_receipts_received ON stray_receipts (received_at);

-- Deliveries whose receipts wait: a call for them is under way, and its end is not written yet; or another try is to
-- come, which decides. taken: they say that the message was taken, so that no other try is to begin.
CREATE TABLE early_receipts (
  delivery_id uuid PRIMARY KEY,
  taken bool NOT NULL,
  looked_at timestamptz NOT NULL DEFAULT now(),
  since timestamptz NOT NULL DEFAULT now()
);

-- How often an address bounced softly since it last worked.
CREATE TABLE soft_bounces (
  channel text NOT NULL,
  address_hash bytea NOT NULL,
  count int NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (channel, address_hash)
);
