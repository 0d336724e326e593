-- The newest request for a target wins: the job that took this one's place; 0: none.
ALTER TABLE job ADD COLUMN superseded_by bigint NOT NULL DEFAULT 0;
