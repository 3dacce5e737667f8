-- When each key was last used, to the minute; NULL: never since this is counted.
ALTER TABLE keys ADD COLUMN last_used_at INTEGER;
