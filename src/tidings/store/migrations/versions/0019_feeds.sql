-- ---------------------------------------------------------------- feeds

ALTER TABLE inbox
  ADD COLUMN seen_at timestamptz,
  ADD COLUMN archived_at timestamptz;
UPDATE inbox SET seen_at = read_at WHERE read_at IS NOT NULL;

-- One row for each user who ever had an entry. Whoever changes a feed locks its row first, so that the numbers of a
-- user's changes are committed in their order, and a reader that saw one has seen all before it. Where changes of
-- several users are made at once, the rows are locked in the order of the user ids.
CREATE TABLE feeds (
  user_id text PRIMARY KEY,
  first bigint NOT NULL,          -- the number before the first change: of when the feed began, so none comes again
  last bigint NOT NULL,           -- of the newest change; they have no gaps
  unread int NOT NULL,            -- of these, archived entries are not counted
  unseen int NOT NULL,
  total int NOT NULL,
  counted_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX feeds_counted ON feeds (counted_at);

-- What happened to a feed, for those who watch it and for those who come back.
CREATE TABLE feed_changes (
  user_id text NOT NULL,
  number bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('added', 'seen', 'read', 'unread', 'archived', 'unarchived', 'counted')),
  entry_ids uuid[],               -- none: all that were there and not archived
  unread int NOT NULL,            -- the counters after it
  unseen int NOT NULL,
  total int NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, number)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX feed_changes_age ON feed_changes (at);

INSERT INTO feeds (user_id, first, last, unread, unseen, total)
SELECT user_id, n.start, n.start, count(*) FILTER (WHERE read_at IS NULL), count(*) FILTER (WHERE seen_at IS NULL), count(*)
FROM inbox CROSS JOIN (SELECT (extract(epoch FROM now()) * 1000)::bigint AS start) AS n
GROUP BY user_id, n.start;

-- When entries of an inbox were last forgotten: the counters are counted anew after it.
ALTER TABLE forgotten ADD COLUMN at timestamptz NOT NULL DEFAULT now();
