#include "app/heard.h"

#include <string.h>

#include "app/base/buf.h"
#include "app/base/json.h"

/* "owner/name" as an installation lists it. */
static int note_listed(struct store *store, const char *forge, const json_t *item, int64_t installation, bool gone,
                       struct error *err)
{
    const char *full = json_text_at(item, "full_name", "");
    const char *slash = strchr(full, '/');
    AUTO_FREE char *owner = slash ? strndup(full, (size_t)(slash - full)) : NULL;
    if (!owner || !slash[1])
        return 0;
    return gone ? store_repository_gone(store, forge, owner, slash + 1, err)
                : store_repository_note(store, forge, owner, slash + 1, installation, err);
}

static int note_list(struct store *store, const char *forge, const json_t *list, int64_t installation, bool gone,
                     struct error *err)
{
    size_t i;
    const json_t *item;
    json_array_foreach (list, i, item)
        if (note_listed(store, forge, item, installation, gone, err) < 0)
            return -1;
    return 0;
}

int heard_note(struct store *store, const char *forge, const char *event, const json_t *payload, struct error *err)
{
    int64_t installation = json_int_at(payload, "installation.id", 0);
    const char *action = json_text_at(payload, "action", "");
    const char *owner = json_text_at(payload, "repository.owner.login", "");
    const char *name = json_text_at(payload, "repository.name", "");
    if (strncmp(event, "installation", strlen("installation")) == 0) {
        bool gone = strcmp(action, "deleted") == 0 || strcmp(action, "suspend") == 0;
        if (note_list(store, forge, json_at(payload, "repositories"), installation, gone, err) < 0 ||
            note_list(store, forge, json_at(payload, "repositories_added"), installation, false, err) < 0)
            return -1;
        return note_list(store, forge, json_at(payload, "repositories_removed"), installation, true, err);
    }
    return *owner && *name ? store_repository_note(store, forge, owner, name, installation, err) : 0;
}
