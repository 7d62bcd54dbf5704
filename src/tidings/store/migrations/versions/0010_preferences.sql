-- ---------------------------------------------------------------- categories

CREATE TABLE categories (
  id text PRIMARY KEY,
  name text NOT NULL,
  channels jsonb NOT NULL,        -- on or off for those who did not choose; on where it is not named
  mandatory bool NOT NULL,
  cap_rate text,                  -- as "3/d"; null for none
  cap_over text CHECK (cap_over IN ('skip', 'wait')),
  send_window jsonb,              -- from, to, days; null for always
  quiet_hours bool NOT NULL,      -- whether it waits for their end
  digest text NOT NULL CHECK (digest IN ('at_once', 'hourly', 'daily', 'weekly')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((cap_rate IS NULL) = (cap_over IS NULL))
);

CREATE FUNCTION tell_category_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('tidings_changes', 'categories:' || coalesce(NEW.id, OLD.id));
  RETURN NULL;
END $$;
CREATE TRIGGER categories_change AFTER INSERT OR UPDATE OR DELETE ON categories
  FOR EACH ROW EXECUTE FUNCTION tell_category_change();

-- ---------------------------------------------------------------- preferences

ALTER TABLE preferences
  ADD COLUMN templates jsonb,     -- like categories, by template id
  ADD COLUMN quiet_hours jsonb,   -- from, to, days
  ADD COLUMN digests jsonb;       -- categories: how often; at, weekday: when daily and weekly ones come

CREATE TABLE preference_changes (
  id uuid PRIMARY KEY DEFAULT uuid_of_time(clock_timestamp()),
  user_id text NOT NULL,
  source text NOT NULL CHECK (source IN ('api', 'page', 'unsubscribe')),
  api_key_id uuid,
  changes jsonb NOT NULL          -- path, before, after
);
CREATE INDEX preference_changes_user ON preference_changes (user_id, id);

-- ---------------------------------------------------------------- explain

-- What was decided of a delivery and is not told by its other columns: words of domain/explanations.py, with
-- spaces between. Null where nothing but the usual was.
ALTER TABLE deliveries ADD COLUMN decisions text;
