-- name: schema_version
SELECT version FROM assay_schema;
