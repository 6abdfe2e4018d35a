-- Hash of the profiles that the partition is judged by: workers with others must not go on.
ALTER TABLE partitions ADD COLUMN profiles INTEGER;
