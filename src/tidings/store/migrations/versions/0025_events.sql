-- ---------------------------------------------------------------- events out

CREATE TABLE event_subscriptions (
  id uuid PRIMARY KEY,            -- UUIDv7
  name text NOT NULL,
  sealed bytea NOT NULL,          -- URL, header fields and signing secrets
  types text[] NOT NULL,
  templates text[] NOT NULL,      -- empty for all, as are the next two
  categories text[] NOT NULL,
  channels text[] NOT NULL,
  enabled bool NOT NULL DEFAULT true,
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER event_subscriptions_change AFTER INSERT OR UPDATE ON event_subscriptions
  FOR EACH ROW EXECUTE FUNCTION tell_change();

-- What has happened and is not told yet: recorded in the transaction in which it happens, and gone in that in which
-- it becomes deliveries to the subscriptions that want it.
CREATE TABLE events (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  type text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  delivery_id uuid NOT NULL,
  data jsonb NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

CREATE FUNCTION wanted_events() RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(DISTINCT type), '{}') FROM event_subscriptions CROSS JOIN unnest(types) AS type WHERE enabled
$$;

-- (SELECT wanted_events()) is asked once a statement; without the brackets it would be for each row.
-- The triggers of these are enabled while a subscription wants what they record, see store/event_subscriptions.py: until then
-- they cost nothing. Notifications that tell events have the category "events:", and of them nothing is told.
CREATE FUNCTION record_changed_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events (type, delivery_id, data)
  SELECT 'delivery.' || d.status, d.id, jsonb_build_object('status', d.status, 'reason', d.reason,
    'account', d.account, 'attempts', d.attempts, 'provider_message_id', d.provider_message_id)
  FROM changed d JOIN former f ON f.notification_id = d.notification_id AND f.id = d.id
  JOIN notifications n ON n.id = d.notification_id
  WHERE d.status <> f.status AND 'delivery.' || d.status = ANY ((SELECT wanted_events())::text[]) AND n.category <> 'events:';
  RETURN NULL;
END
$$;
CREATE TRIGGER deliveries_changed AFTER UPDATE ON deliveries REFERENCING OLD TABLE AS former NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION record_changed_deliveries();

-- Those that end as they are accepted.
CREATE FUNCTION record_fresh_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events (type, delivery_id, data)
  SELECT 'delivery.' || d.status, d.id, jsonb_build_object('status', d.status, 'reason', d.reason, 'attempts', 0)
  FROM fresh d WHERE 'delivery.' || d.status = ANY ((SELECT wanted_events())::text[]);
  RETURN NULL;
END
$$;
CREATE TRIGGER deliveries_fresh AFTER INSERT ON deliveries REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION record_fresh_deliveries();

-- What is learnt beside the state of a delivery, from vendors or, without an account, from our own links and pixels.
CREATE FUNCTION record_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events (type, at, delivery_id, data)
  SELECT 'delivery.' || r.type, r.occurred_at, r.delivery_id,
    jsonb_build_object('account', nullif(r.account, ''), 'detail', nullif(r.detail, ''))
  FROM fresh r WHERE r.type IN ('opened', 'clicked', 'complained', 'unsubscribed')
    AND 'delivery.' || r.type = ANY ((SELECT wanted_events())::text[]);
  RETURN NULL;
END
$$;
CREATE TRIGGER receipts_fresh AFTER INSERT ON receipts REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION record_receipts();

ALTER TABLE ONLY deliveries DISABLE TRIGGER deliveries_changed, DISABLE TRIGGER deliveries_fresh;
ALTER TABLE ONLY receipts DISABLE TRIGGER receipts_fresh;
