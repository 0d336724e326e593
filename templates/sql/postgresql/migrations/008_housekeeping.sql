-- What is old is found without reading what is not.
CREATE INDEX delivery_ended ON delivery (ended_ms) WHERE state IN ('done', 'dead');
CREATE INDEX stage_snapshot ON stage (job) WHERE snapshot IS NOT NULL;
