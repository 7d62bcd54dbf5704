-- Templates: the data they take, and an example of it.

ALTER TABLE template_versions
  ADD COLUMN variables json,  -- a JSON Schema; null where nothing is declared
  ADD COLUMN sample json;     -- data as an editor made it up, which previews are rendered with
