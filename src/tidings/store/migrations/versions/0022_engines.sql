-- What a version of a template is written in.
ALTER TABLE template_versions ADD COLUMN engine text NOT NULL DEFAULT 'jinja' CHECK (engine IN ('jinja', 'liquid'));
