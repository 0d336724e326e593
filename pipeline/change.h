/* A change: the files that a run wants to write, each with its kind and its author, and the lock on tests. */
#ifndef PIPELINE_CHANGE_H
#define PIPELINE_CHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/digest.h"
#include "app/base/error.h"
#include "app/base/yaml.h"

enum file_kind { FILE_CODE, FILE_TEST };

struct change_file {
    char *path;
    char *content; /* NUL-terminated; NULL: the file is removed */
    size_t len;
    enum file_kind kind;
    bool is_new;  /* not in the base tree */
    bool later;   /* a test that was written after the lock: not in its digest, and never in place of a locked one */
    char *author; /* the model that wrote it, or "spec" for tests made from the spec's examples */
};

struct change {
    struct change_file *files;
    size_t count;
    bool tests_locked;
    char tests_digest[DIGEST_HEX_SIZE]; /* of all test files, path and content; "" before the lock */
};

/* Limits on what a model may write: files, bytes for each and in all. */
enum { CHANGE_MAX_FILES = 64, CHANGE_MAX_FILE_BYTES = 1 << 20, CHANGE_MAX_BYTES = 8 << 20 };

/* Puts a file into the change (replacing what it had for that path). Refused, with the reason (ERROR_DENIED): a path
 * that is not clean (fs.h), ".github/workflows", one that a `forbidden` glob matches, a locked test, a path that is a
 * symbolic link or below one in `tree`; ERROR_LIMIT past the caps; ERROR_INPUT for bytes that are not UTF-8 or hold a
 * NUL. `content` is copied. */
int change_put(struct change *change, const char *tree, const struct yaml_texts *forbidden, const char *path,
               const char *content, size_t len, enum file_kind kind, const char *author, struct error *err);
/* A test that is written after the lock, in a file of its own (or the same one again). */
int change_put_later_test(struct change *change, const char *tree, const struct yaml_texts *forbidden, const char *path,
                          const char *content, size_t len, const char *author, struct error *err);
const struct change_file *change_find(const struct change *change, const char *path);
void change_release(struct change *change);

/* The file's text as the change has it, else as the tree has it, appended to out; ERROR_NOT_FOUND when neither has it.
 */
struct buf;
int change_read(const struct change *change, const char *tree, const char *path, struct buf *out, struct error *err);

/* Locks the tests: from here change_put refuses them; those that are written later are beside the lock. The digest is
 * SHA-256 over "path\0length\0content" of the test files in path order. */
void change_lock_tests(struct change *change);
/* 0 when the test files still have the locked digest; else ERROR_DENIED. */
int change_check_lock(const struct change *change, struct error *err);

/* Takes all files of a kind out (a fresh sample starts from base). */
void change_drop(struct change *change, enum file_kind kind);

/* JSON round trip for the journal: {"files":[{path, content, kind, is_new, author}], "tests_digest": …}. */
json_t *change_to_json(const struct change *change);
int change_from_json(const json_t *value, struct change *out, struct error *err);

/* True when glob (`*` within a step, `**` over steps, `?`) matches the path. */
bool path_matches(const char *glob, const char *path);

#endif
