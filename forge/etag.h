/* Answers of earlier GETs, kept with their ETag: asking again with If-None-Match costs no rate limit when nothing has
 * changed (304). A small ring; the oldest entry makes room. */
#ifndef FORGE_ETAG_H
#define FORGE_ETAG_H

#include <jansson.h>
#include <stddef.h>

#define ETAG_CACHE_SIZE 32

struct etag_entry {
    char *key;  /* NULL: empty */
    char *etag; /* as the server wrote it, quotes and W/ included */
    char *next; /* path of the next page, or NULL */
    json_t *json;
};

struct etag_cache {
    struct etag_entry entries[ETAG_CACHE_SIZE];
    size_t oldest;
};

/* The entry of that key, or NULL. Borrowed until the next keep. */
const struct etag_entry *etag_find(const struct etag_cache *cache, const char *key);

/* Keeps a copy of the texts and a reference to the JSON, which nobody may change from now on; replaces the entry of
 * the same key. Without memory nothing is kept. */
void etag_keep(struct etag_cache *cache, const char *key, const char *etag, const char *next, json_t *json);

void etag_cache_release(struct etag_cache *cache);

#endif
