#include "pipeline/change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/base/json.h"

enum { PATH_BYTES = 1024 };

/* ---- globs ---- */

/* One token of a glob: how much of the glob it takes, and which path positions follow from those reached so far.
 * `reach[j]` says that the tokens so far can match the first j bytes. */
static size_t glob_step(const char *glob, const char *path, size_t len, bool *reach)
{
    bool two = glob[0] == '*' && glob[1] == '*';
    size_t taken = two ? 2 + (glob[2] == '/') : 1;
    bool before = reach[0], any = reach[0]; /* the old reach[j - 1]; whether an earlier position was reached */
    if (glob[0] != '*')
        reach[0] = false;
    for (size_t j = 1; j <= len; j++) {
        bool was = reach[j];
        char c = path[j - 1];
        if (taken == 3)
            reach[j] = was || (any && c == '/');
        else if (two)
            reach[j] = was || any;
        else if (glob[0] == '*')
            reach[j] = was || (reach[j - 1] && c != '/');
        else
            reach[j] = before && (glob[0] == '?' ? c != '/' : c == glob[0]);
        any = any || was;
        before = was;
    }
    return taken;
}

bool path_matches(const char *glob, const char *path)
{
    size_t len = strlen(path);
    bool reach[PATH_BYTES + 1] = {true};
    if (len > PATH_BYTES)
        return false;
    while (*glob)
        glob += glob_step(glob, path, len, reach);
    return reach[len];
}

/* A glob that names a folder forbids all that is in it, so each leading part of the path is tried too. */
static const char *forbidden_by(const struct yaml_texts *forbidden, const char *path)
{
    for (size_t i = 0; forbidden && i < forbidden->count; i++) {
        const char *glob = forbidden->items[i];
        size_t glob_len = strlen(glob);
        AUTO_FREE char *folder = strndup(glob, glob_len && glob[glob_len - 1] == '/' ? glob_len - 1 : glob_len);
        AUTO_FREE char *part = strdup(path);
        if (!folder || !part)
            return glob; /* without memory: refuse */
        for (char *slash = part + strlen(part); slash; slash = strrchr(part, '/')) {
            *slash = '\0';
            if (path_matches(folder, part))
                return glob;
        }
    }
    return NULL;
}

/* ---- what may be written ---- */

static bool is_workflow(const char *path)
{
    static const char folder[] = ".github/workflows";
    size_t len = sizeof folder - 1;
    return strncasecmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* Looks at each step of the path in the tree: links, and files where a folder is needed, are refused. `exists` says
 * whether the file itself is there. */
static int check_tree(const char *tree, const char *path, bool *exists, struct error *err)
{
    *exists = false;
    for (size_t end = strcspn(path, "/");; end += 1 + strcspn(path + end + 1, "/")) {
        bool last = path[end] == '\0';
        struct stat st;
        AUTO_FREE char *step = text_format("%s/%.*s", tree, (int)end, path);
        if (!step)
            return error_set(err, ERROR_INTERNAL, "no memory");
        if (lstat(step, &st) < 0) {
            if (errno == ENOENT)
                return 0;
            return error_system(err, errno, "cannot look at %s in the repository", path);
        }
        if (S_ISLNK(st.st_mode))
            return error_set(err, ERROR_DENIED, "%s: %.*s is a symbolic link; links are not followed", path, (int)end,
                             path);
        if (last && !S_ISREG(st.st_mode))
            return error_set(err, ERROR_DENIED, "%s is not a regular file in the repository", path);
        if (!last && !S_ISDIR(st.st_mode))
            return error_set(err, ERROR_DENIED, "%s: %.*s is not a folder in the repository", path, (int)end, path);
        if (last) {
            *exists = true;
            return 0;
        }
    }
}

static int check_path(const struct yaml_texts *forbidden, const char *path, struct error *err)
{
    if (!fs_path_is_clean(path))
        return error_set(err, ERROR_DENIED,
                         "the path \"%.200s\" may not be written: use a plain path inside the "
                         "repository, without \"..\" and outside .git",
                         path);
    if (is_workflow(path))
        return error_set(err, ERROR_DENIED, "%s may not be written: workflows are changed by people only", path);
    const char *glob = forbidden_by(forbidden, path);
    if (glob)
        return error_set(err, ERROR_DENIED, "%s may not be written: the configuration forbids \"%s\"", path, glob);
    return 0;
}

/* Another file of the change must not be where this path needs a folder, nor the other way round. */
static int check_siblings(const struct change *change, const char *path, struct error *err)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < change->count; i++) {
        const char *other = change->files[i].path;
        size_t other_len = strlen(other);
        size_t shorter = len < other_len ? len : other_len;
        bool below = len != other_len && strncmp(path, other, shorter) == 0 &&
                     (len < other_len ? other[len] : path[other_len]) == '/';
        if (below && change->files[i].content)
            return error_set(err, ERROR_DENIED, "%s and %s cannot both be files", path, other);
    }
    return 0;
}

static int check_content(const struct change *change, const struct change_file *old, const char *path,
                         const char *content, size_t len, struct error *err)
{
    if (len > CHANGE_MAX_FILE_BYTES)
        return error_set(err, ERROR_LIMIT, "%s has %zu bytes, more than the %d allowed for one file", path, len,
                         CHANGE_MAX_FILE_BYTES);
    if (!old && change->count >= CHANGE_MAX_FILES)
        return error_set(err, ERROR_LIMIT, "the change has more than the %d files allowed, with %s", CHANGE_MAX_FILES,
                         path);
    size_t total = len;
    for (size_t i = 0; i < change->count; i++)
        if (&change->files[i] != old)
            total += change->files[i].len;
    if (total > CHANGE_MAX_BYTES)
        return error_set(err, ERROR_LIMIT, "the change has more than the %d bytes allowed, with %s", CHANGE_MAX_BYTES,
                         path);
    if (memchr(content, '\0', len))
        return error_set(err, ERROR_INPUT, "%s holds a NUL byte; only text files may be written", path);
    json_auto_t *utf8 = json_stringn(content, len);
    if (!utf8)
        return error_set(err, ERROR_INPUT, "%s is not UTF-8; only text files may be written", path);
    return 0;
}

/* ---- the files ---- */

static struct change_file *find(const struct change *change, const char *path)
{
    for (size_t i = 0; i < change->count; i++)
        if (strcmp(change->files[i].path, path) == 0)
            return &change->files[i];
    return NULL;
}

const struct change_file *change_find(const struct change *change, const char *path)
{
    return find(change, path);
}

static void file_release(struct change_file *file)
{
    free(file->path);
    free(file->content);
    free(file->author);
    *file = (struct change_file){0};
}

static void file_remove(struct change *change, struct change_file *file)
{
    size_t after = change->count - 1 - (size_t)(file - change->files);
    file_release(file);
    memmove(file, file + 1, after * sizeof *file);
    change->count--;
}

/* Takes the file over when it succeeds. */
static int file_store(struct change *change, struct change_file *old, struct change_file *file, struct error *err)
{
    if (!file->path || !file->author) {
        file_release(file);
        return error_set(err, ERROR_INTERNAL, "no memory");
    }
    if (!old) {
        struct change_file *files = realloc(change->files, (change->count + 1) * sizeof *files);
        if (!files) {
            file_release(file);
            return error_set(err, ERROR_INTERNAL, "no memory");
        }
        change->files = files;
        old = &files[change->count++];
        *old = (struct change_file){0};
    }
    file_release(old);
    *old = *file;
    return 0;
}

static int put_removal(struct change *change, struct change_file *old, bool in_tree, struct change_file *file,
                       struct error *err)
{
    if (in_tree)
        return file_store(change, old, file, err);
    int result = 0;
    if (old)
        file_remove(change, old);
    else
        result = error_set(err, ERROR_NOT_FOUND, "%s cannot be removed: there is no such file", file->path);
    file_release(file);
    return result;
}

static bool is_locked(const struct change *change, const struct change_file *old, enum file_kind kind, bool later)
{
    if (later)
        return old && !old->later;
    return change->tests_locked && (kind == FILE_TEST || (old && old->kind == FILE_TEST));
}

static int put(struct change *change, const char *tree, const struct yaml_texts *forbidden, struct change_file wanted,
               struct error *err)
{
    bool in_tree = false;
    const char *path = wanted.path, *content = wanted.content;
    size_t len = wanted.len;
    struct change_file *old = find(change, path);
    if (check_path(forbidden, path, err) < 0)
        return -1;
    if (is_locked(change, old, wanted.kind, wanted.later))
        return error_set(err, ERROR_DENIED, "%s may not be written: the tests are locked", path);
    if (tree && check_tree(tree, path, &in_tree, err) < 0)
        return -1;
    if (wanted.later && in_tree)
        return error_set(err, ERROR_DENIED, "%s may not be written: it is a test of the repository", path);
    if (content && check_siblings(change, path, err) < 0)
        return -1;
    if (check_content(change, old, path, content ? content : "", content ? len : 0, err) < 0)
        return -1;
    struct change_file file = {
        .path = strdup(path),
        .content = content ? strndup(content, len) : NULL,
        .len = content ? len : 0,
        .kind = wanted.kind,
        .is_new = !in_tree,
        .later = wanted.later,
        .author = strdup(wanted.author ? wanted.author : ""),
    };
    if (!content)
        return put_removal(change, old, in_tree, &file, err);
    if (!file.content) {
        file_release(&file);
        return error_set(err, ERROR_INTERNAL, "no memory");
    }
    return file_store(change, old, &file, err);
}

int change_put(struct change *change, const char *tree, const struct yaml_texts *forbidden, const char *path,
               const char *content, size_t len, enum file_kind kind, const char *author, struct error *err)
{
    struct change_file wanted = {
        .path = (char *)path, .content = (char *)content, .len = len, .kind = kind, .author = (char *)author};
    return put(change, tree, forbidden, wanted, err);
}

int change_put_later_test(struct change *change, const char *tree, const struct yaml_texts *forbidden, const char *path,
                          const char *content, size_t len, const char *author, struct error *err)
{
    struct change_file wanted = {.path = (char *)path,
                                 .content = (char *)content,
                                 .len = len,
                                 .kind = FILE_TEST,
                                 .later = true,
                                 .author = (char *)author};
    return put(change, tree, forbidden, wanted, err);
}

int change_read(const struct change *change, const char *tree, const char *path, struct buf *out, struct error *err)
{
    const struct change_file *file = find(change, path);
    if (file && !file->content)
        return error_set(err, ERROR_NOT_FOUND, "%s is removed by the change", path);
    if (!file && !tree)
        return error_set(err, ERROR_NOT_FOUND, "%s is not in the change", path);
    if (!file)
        return fs_read_beneath(tree, path, out, err);
    buf_add(out, file->content, file->len);
    return buf_check(out, path, err);
}

void change_drop(struct change *change, enum file_kind kind)
{
    for (size_t i = change->count; i-- > 0;)
        if (change->files[i].kind == kind)
            file_remove(change, &change->files[i]);
}

void change_release(struct change *change)
{
    for (size_t i = 0; i < change->count; i++)
        file_release(&change->files[i]);
    free(change->files);
    *change = (struct change){0};
}

/* ---- the lock ---- */

/* "" when there is no memory: a digest that no later one equals. */
static void tests_digest(const struct change *change, char hex[static DIGEST_HEX_SIZE])
{
    const struct change_file *tests[CHANGE_MAX_FILES];
    size_t count = 0;
    AUTO_BUF struct buf all = BUF_INIT(CHANGE_MAX_BYTES + CHANGE_MAX_FILES * (PATH_BYTES + 32));
    hex[0] = '\0';
    for (size_t i = 0; i < change->count; i++) {
        if (change->files[i].kind != FILE_TEST || change->files[i].later)
            continue;
        if (count == CHANGE_MAX_FILES)
            return;
        size_t at = count++;
        for (; at > 0 && strcmp(tests[at - 1]->path, change->files[i].path) > 0; at--)
            tests[at] = tests[at - 1];
        tests[at] = &change->files[i];
    }
    for (size_t i = 0; i < count; i++) {
        buf_add(&all, tests[i]->path, strlen(tests[i]->path) + 1);
        if (tests[i]->content)
            buf_printf(&all, "%zu", tests[i]->len);
        else
            buf_puts(&all, "removed");
        buf_putc(&all, '\0');
        buf_add(&all, tests[i]->content, tests[i]->len);
    }
    if (!all.failed)
        digest_sha256(buf_text(&all), all.len, hex);
}

void change_lock_tests(struct change *change)
{
    tests_digest(change, change->tests_digest);
    change->tests_locked = true;
}

int change_check_lock(const struct change *change, struct error *err)
{
    char now[DIGEST_HEX_SIZE];
    tests_digest(change, now);
    if (!change->tests_locked)
        return error_set(err, ERROR_DENIED, "the tests are not locked");
    if (!now[0] || strcmp(now, change->tests_digest) != 0)
        return error_set(err, ERROR_DENIED, "the locked tests were changed: their digest is %.12s, not %.12s", now,
                         change->tests_digest);
    return 0;
}

/* ---- the journal's form ---- */

static const char *const kind_names[] = {[FILE_CODE] = "code", [FILE_TEST] = "test"};

json_t *change_to_json(const struct change *change)
{
    json_auto_t *files = json_array();
    for (size_t i = 0; i < change->count; i++) {
        const struct change_file *file = &change->files[i];
        json_t *content = file->content ? json_stringn(file->content, file->len) : json_null();
        json_t *item = json_pack("{s:s, s:o, s:s, s:b, s:s}", "path", file->path, "content", content, "kind",
                                 kind_names[file->kind], "is_new", file->is_new, "author", file->author);
        if (file->later)
            json_object_set_new(item, "later", json_true());
        if (json_array_append_new(files, item) < 0)
            return NULL;
    }
    return json_pack("{s:O, s:s}", "files", files, "tests_digest", change->tests_digest);
}

static int file_from_json(json_t *value, struct change *change, struct error *err)
{
    const char *path, *kind, *author;
    json_t *content;
    int is_new;
    json_error_t problem;
    if (json_unpack_ex(value, &problem, 0, "{s:s, s:o, s:s, s:b, s:s}", "path", &path, "content", &content, "kind",
                       &kind, "is_new", &is_new, "author", &author) < 0)
        return error_set(err, ERROR_INPUT, "a file of the stored change: %s", problem.text);
    bool is_test = strcmp(kind, kind_names[FILE_TEST]) == 0;
    if (!fs_path_is_clean(path) || find(change, path) || (!is_test && strcmp(kind, kind_names[FILE_CODE]) != 0) ||
        (!json_is_string(content) && !json_is_null(content)))
        return error_set(err, ERROR_INPUT, "the stored change's file \"%.200s\" makes no sense", path);
    if (check_content(change, NULL, path, json_is_string(content) ? json_string_value(content) : "",
                      json_string_length(content), err) < 0)
        return -1;
    struct change_file file = {
        .path = strdup(path),
        .content = json_is_string(content) ? strdup(json_string_value(content)) : NULL,
        .len = json_string_length(content),
        .kind = is_test ? FILE_TEST : FILE_CODE,
        .is_new = is_new,
        .later = is_test && json_true_at(value, "later"),
        .author = strdup(author),
    };
    return file_store(change, NULL, &file, err);
}

int change_from_json(const json_t *value, struct change *out, struct error *err)
{
    struct change change = {0};
    const char *digest;
    json_t *files, *item;
    size_t i;
    json_error_t problem;
    if (json_unpack_ex((json_t *)value, &problem, 0, "{s:o, s:s}", "files", &files, "tests_digest", &digest) < 0)
        return error_set(err, ERROR_INPUT, "the stored change: %s", problem.text);
    if (!json_is_array(files) || strlen(digest) >= DIGEST_HEX_SIZE)
        return error_set(err, ERROR_INPUT, "the stored change makes no sense");
    json_array_foreach (files, i, item) {
        if (file_from_json(item, &change, err) < 0) {
            change_release(&change);
            return -1;
        }
    }
    snprintf(change.tests_digest, sizeof change.tests_digest, "%s", digest);
    change.tests_locked = digest[0] != '\0';
    *out = change;
    return 0;
}
