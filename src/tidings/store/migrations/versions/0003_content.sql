-- Templates: drafts and published versions, and languages.

ALTER TABLE templates
  ALTER COLUMN current_version DROP NOT NULL,     -- none is published yet
  ADD COLUMN latest_version int,
  ADD COLUMN archived_at timestamptz;
UPDATE templates SET latest_version = current_version;
ALTER TABLE templates ALTER COLUMN latest_version SET NOT NULL;

ALTER TABLE template_versions
  ADD COLUMN locale text,                         -- the language of `content`
  ADD COLUMN locales json NOT NULL DEFAULT '{}',  -- content by language tag
  ADD COLUMN published_at timestamptz;            -- the first time; null for a draft
UPDATE template_versions v SET published_at = v.created_at;
