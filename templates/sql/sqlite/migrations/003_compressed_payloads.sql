-- Payloads may be compressed. A CHECK cannot be changed in place, so the table is made anew.
CREATE TABLE payload_next (
    delivery INTEGER PRIMARY KEY REFERENCES delivery (seq) ON DELETE CASCADE,
    encoding TEXT NOT NULL DEFAULT 'identity' CHECK (encoding IN ('identity', 'zstd')),
    bytes    BLOB NOT NULL
) STRICT;
INSERT INTO payload_next (delivery, encoding, bytes) SELECT delivery, encoding, bytes FROM payload;
DROP TABLE payload;
ALTER TABLE payload_next RENAME TO payload;
