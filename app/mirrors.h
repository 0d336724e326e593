/* The git mirrors under <state_dir>/mirrors as things that take room: what there is, since when each is unused, and
 * letting go of one. A mirror is used under its lock (forge/repo.h), whose time says when that was last. */
#ifndef APP_MIRRORS_H
#define APP_MIRRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"

struct mirror_place {
    char *path;      /* absolute */
    char *name;      /* below <state_dir>/mirrors: "github/octo/shop.git" */
    int64_t bytes;   /* on disk */
    int64_t used_ms; /* wall clock */
};

/* The longest unused first. What an interrupted removal has left is removed on the way. */
int mirrors_list(const char *state_dir, struct mirror_place **out, size_t *count, struct error *err);
void mirrors_free(struct mirror_place *mirrors, size_t count);

/* *removed is false when somebody uses it. The next user makes it anew. */
int mirror_remove(const struct mirror_place *mirror, bool *removed, struct error *err);

#endif
