-- ---------------------------------------------------------------- retention

-- Up to which id what was accepted, or failed for good, may have been forgotten: what it leaves behind on purpose is no fault.
CREATE TABLE forgotten (
  what text PRIMARY KEY CHECK (what IN ('notifications', 'inbox', 'dead_letters')),
  before uuid NOT NULL
);

-- An entry's id is of when its notification was accepted, which may be long before it arrived.
ALTER TABLE inbox ADD COLUMN stored_at timestamptz NOT NULL DEFAULT now();
