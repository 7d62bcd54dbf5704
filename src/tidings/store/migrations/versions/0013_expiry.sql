-- ---------------------------------------------------------------- expiry

-- Until when an entry may wait, where there is such a time: so what waits for something that may not come, an account
-- that is held back or a paused batch, is found when it is over.
ALTER TABLE queue ADD COLUMN expires_at timestamptz;
UPDATE queue q SET expires_at = n.expires_at FROM notifications n
  WHERE n.id = q.notification_id AND n.expires_at IS NOT NULL;
CREATE INDEX queue_expires ON queue (expires_at) WHERE expires_at IS NOT NULL;
