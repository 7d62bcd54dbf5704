-- Proofs of callbacks that do not cover what the callback says, and so are good for one of them. The moment comes first:
-- those of one time lie together, and the old ones go from one end.
CREATE TABLE callback_proofs (
  signed_at timestamptz NOT NULL,
  hash bytea NOT NULL,            -- of the account and of what the vendor gives once
  said_hash bytea NOT NULL,       -- of what the callback said
  PRIMARY KEY (signed_at, hash)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
