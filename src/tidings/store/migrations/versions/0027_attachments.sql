-- The files that go with emails, each for its notification. Beside it and not within it, so that what is read of
-- notifications again and again stays small.
CREATE TABLE attachments (
  notification_id uuid NOT NULL,
  number smallint NOT NULL,       -- as in the notification's payload, which has its name and type; from 0 on
  sealed bytea NOT NULL,
  PRIMARY KEY (notification_id, number)
) PARTITION BY RANGE (notification_id);
-- What is sealed gets no smaller by compression, and trying costs more than storing it.
ALTER TABLE attachments ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- As many weeks as notifications have: what was accepted before has no files, and what is kept longer goes to the
-- default partition.
DO $$
DECLARE
  oldest timestamptz;
BEGIN
  SELECT min(uuid_time((regexp_match(pg_get_expr(p.relpartbound, p.oid), $r$FROM \('(.+)'\) TO$r$))[1]::uuid)) INTO oldest
  FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid
  WHERE i.inhparent = 'notifications'::regclass AND pg_get_expr(p.relpartbound, p.oid) <> 'DEFAULT';
  oldest := least(oldest, now() - interval '7 days');
  CREATE TABLE attachments_default PARTITION OF attachments DEFAULT;
  PERFORM ensure_partitions('attachments', oldest, 6 + ceil(extract(epoch FROM now() - oldest) / 604800)::int);
END $$;
