#include "forge/etag.h"

#include <stdlib.h>
#include <string.h>

static void entry_release(struct etag_entry *entry)
{
    free(entry->key);
    free(entry->etag);
    free(entry->next);
    json_decref(entry->json);
    *entry = (struct etag_entry){0};
}

static struct etag_entry *find(struct etag_cache *cache, const char *key)
{
    for (size_t i = 0; i < ETAG_CACHE_SIZE; i++)
        if (cache->entries[i].key && !strcmp(cache->entries[i].key, key))
            return &cache->entries[i];
    return NULL;
}

const struct etag_entry *etag_find(const struct etag_cache *cache, const char *key)
{
    return find((struct etag_cache *)cache, key);
}

void etag_keep(struct etag_cache *cache, const char *key, const char *etag, const char *next, json_t *json)
{
    struct etag_entry fresh = {
        .key = strdup(key),
        .etag = strdup(etag),
        .next = next ? strdup(next) : NULL,
        .json = json_incref(json),
    };
    struct etag_entry *entry = find(cache, key);
    if (!fresh.key || !fresh.etag || (next && !fresh.next)) {
        entry_release(&fresh);
        return;
    }
    if (!entry) {
        entry = &cache->entries[cache->oldest];
        cache->oldest = (cache->oldest + 1) % ETAG_CACHE_SIZE;
    }
    entry_release(entry);
    *entry = fresh;
}

void etag_cache_release(struct etag_cache *cache)
{
    for (size_t i = 0; i < ETAG_CACHE_SIZE; i++)
        entry_release(&cache->entries[i]);
}
