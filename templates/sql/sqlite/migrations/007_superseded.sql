-- The newest request for a target wins: the job that took this one's place; 0: none.
ALTER TABLE job ADD COLUMN superseded_by INTEGER NOT NULL DEFAULT 0;

-- Names of accounts and repositories are compared without case: an index that does not is of no use.
DROP INDEX job_subject;
CREATE INDEX job_subject ON job (forge, owner COLLATE NOCASE, repo COLLATE NOCASE, number);
