-- The verdict of a position is 128 and its number where it was given ahead of being judged. It counts
-- as soon as the mark of the source does not say that it waits: judging what came late writes the
-- rows again that turn out otherwise, and no others. A program that does not know of it must not read
-- what is filed from now on.

-- First and last event time of what a mark is about and has not been judged at all.
ALTER TABLE marks ADD COLUMN waits_from INTEGER;
ALTER TABLE marks ADD COLUMN waits_upto INTEGER;
