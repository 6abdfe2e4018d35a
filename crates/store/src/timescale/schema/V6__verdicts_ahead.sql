-- A program that does not know of it must not read what is filed from now on.
COMMENT ON COLUMN positions.verdict IS
    'Number of the verdict; 128 and the number where it was given ahead of being judged: it counts as soon as no mark of the source covers the position.';
