-- ---------------------------------------------------------------- opens and clicks of our own

-- Null: as the settings have it.
ALTER TABLE template_versions
  ADD COLUMN track_opens bool,
  ADD COLUMN track_clicks bool;

-- False: this person is not to be tracked; null: they did not say.
ALTER TABLE preferences ADD COLUMN tracking bool;

-- Where the links of a message lead, which is all that they can lead to. One row for each attempt whose message had
-- any: another attempt may have rendered others, and both may have arrived.
CREATE TABLE link_targets (
  delivery_id uuid NOT NULL,
  lease uuid NOT NULL,            -- the attempt's: a late worker does not write over what another has sent
  links smallint NOT NULL,        -- how many there are
  sealed bytea NOT NULL,          -- the URLs in the order of their numbers; a person's data may stand in them
  PRIMARY KEY (delivery_id, lease)
) PARTITION BY RANGE (delivery_id);

-- What came of a message: a row for each of its links that was followed, and one for the pixel (link 0).
CREATE TABLE engagements (
  delivery_id uuid NOT NULL,
  link smallint NOT NULL,
  template_id text NOT NULL,
  template_version int NOT NULL,
  channel text NOT NULL,
  batch_id uuid,
  user_id text,
  requests int NOT NULL,          -- all of them
  persons int NOT NULL,           -- of these, those that a person made, as far as can be told
  rule text NOT NULL,             -- by which the last was judged
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  person_at timestamptz,          -- when a person last did
  PRIMARY KEY (delivery_id, link)
) PARTITION BY RANGE (delivery_id);
CREATE INDEX engagements_template ON engagements (template_id, delivery_id);
CREATE INDEX engagements_batch ON engagements (batch_id, delivery_id) WHERE batch_id IS NOT NULL;

-- A week has all tables of its notifications or is forgotten row by row: so these have the weeks that are there.
DO $$
DECLARE
  parent text;
  oldest timestamptz;
BEGIN
  SELECT min(uuid_time((regexp_match(pg_get_expr(p.relpartbound, p.oid), $r$FROM \('(.+)'\) TO$r$))[1]::uuid)) INTO oldest
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
  WHERE i.inhparent = 'notifications'::regclass AND pg_get_expr(p.relpartbound, p.oid) <> 'DEFAULT';
  oldest := least(oldest, now() - interval '7 days');
  FOREACH parent IN ARRAY ARRAY['link_targets', 'engagements'] LOOP
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
    PERFORM ensure_partitions(parent, oldest, 6 + ceil(extract(epoch FROM now() - oldest) / 604800)::int);
  END LOOP;
END $$;

-- Requests for links and pixels, until they are judged: those of one message together, some seconds later.
CREATE TABLE hits (
  id uuid PRIMARY KEY,            -- UUIDv7
  delivery_id uuid NOT NULL,
  link smallint NOT NULL,
  times int NOT NULL,
  head bool NOT NULL,
  prefetch bool NOT NULL,
  agent text NOT NULL,            -- what it says it is; not kept
  at timestamptz NOT NULL
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX hits_delivery ON hits (delivery_id);
CREATE INDEX hits_at ON hits (at);
