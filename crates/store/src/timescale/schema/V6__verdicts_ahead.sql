-- A program that does not know of it must not read what is filed from now on.
COMMENT ON COLUMN positions.verdict IS
    'Number of the verdict; 128 and the number where it was given ahead of being judged: it counts as soon as the mark of the source does not say that it waits.';

-- First and last event time of what a mark is about and has not been judged at all.
ALTER TABLE marks ADD COLUMN waits_from BIGINT;
ALTER TABLE marks ADD COLUMN waits_upto BIGINT;
