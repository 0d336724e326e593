-- Payloads may be compressed; the server need not try it once more.
ALTER TABLE payload DROP CONSTRAINT payload_encoding_check;
ALTER TABLE payload ADD CONSTRAINT payload_encoding_check CHECK (encoding IN ('identity', 'zstd'));
ALTER TABLE payload ALTER COLUMN bytes SET STORAGE EXTERNAL;
