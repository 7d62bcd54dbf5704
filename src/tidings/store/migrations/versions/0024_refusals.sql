-- Why lines of a stream, or users of a broadcast, were refused: how many by the code of the problem.
ALTER TABLE batches ADD COLUMN refusals jsonb NOT NULL DEFAULT '{}';

-- {"a": 1} and {"a": 2, "b": 1} make {"a": 3, "b": 1}.
CREATE FUNCTION add_counts(one jsonb, other jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_object_agg(key, count), '{}') FROM (
    SELECT key, sum(value::bigint) AS count
    FROM (SELECT * FROM jsonb_each_text(one) UNION ALL SELECT * FROM jsonb_each_text(other)) AS both_of_them
    GROUP BY key) AS summed
$$;
