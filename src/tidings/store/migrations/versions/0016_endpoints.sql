-- ---------------------------------------------------------------- endpoints that fail

-- Addresses whose server is the recipient's own, since they began to fail. Successes leave no trace here: whether there
-- was one is looked up in the deliveries before an endpoint is put on the suppression list.
CREATE TABLE failing_endpoints (
  channel text NOT NULL,
  address_hash bytea NOT NULL,
  sealed_address bytea NOT NULL,
  account text NOT NULL,
  reason text NOT NULL,           -- of the last failure
  failures bigint NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  last_at timestamptz NOT NULL DEFAULT now(),
  disable_at timestamptz NOT NULL,
  PRIMARY KEY (channel, address_hash)
);

ALTER TABLE suppressions DROP CONSTRAINT suppressions_reason,
  ADD CONSTRAINT suppressions_reason CHECK (reason IN ('bounced', 'complained', 'unsubscribed', 'manual', 'failing'));
