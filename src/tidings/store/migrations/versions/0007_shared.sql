-- What templates share, in versions that are never changed; a version of a template holds a copy of what it uses.

CREATE TABLE shared_content (
  kind text NOT NULL CHECK (kind IN ('layout', 'partial', 'brand')),
  id text NOT NULL,
  version int NOT NULL,
  content json,                   -- null: from this version on there is none
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid,
  PRIMARY KEY (kind, id, version)
);

ALTER TABLE template_versions ADD COLUMN shared json NOT NULL DEFAULT '[]';
