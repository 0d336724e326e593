/* Commits made in the object database, and what two commits differ by. */
#include <stdlib.h>
#include <string.h>

#include "app/base/fs.h"
#include "forge/repo_internal.h"

/* Where the file goes there must be a regular file or nothing, and no file or link where a directory has to be: a
 * model's path must not turn a link into something else. Gives the mode to write. */
static int find_mode(git_tree *tree, const struct repo_file *file, git_filemode_t *mode, bool *exists,
                     struct error *err)
{
    AUTO_FREE char *prefix = strdup(file->path);
    for (char *slash = prefix; prefix && (slash = strchr(slash, '/')); slash++) {
        REPO_AUTO(git_tree_entry) *parent = NULL;
        *slash = '\0';
        if (git_tree_entry_bypath(&parent, tree, prefix) == 0 && git_tree_entry_type(parent) != GIT_OBJECT_TREE)
            return error_set(err, ERROR_INPUT, "commit %s: %s is no directory", file->path, prefix);
        *slash = '/';
    }
    REPO_AUTO(git_tree_entry) *entry = NULL;
    *exists = git_tree_entry_bypath(&entry, tree, file->path) == 0;
    *mode = *exists            ? git_tree_entry_filemode(entry)
            : file->executable ? GIT_FILEMODE_BLOB_EXECUTABLE
                               : GIT_FILEMODE_BLOB;
    if (*mode != GIT_FILEMODE_BLOB && *mode != GIT_FILEMODE_BLOB_EXECUTABLE)
        return error_set(err, ERROR_INPUT, "commit %s: it is a link, a directory or a submodule there", file->path);
    return prefix ? 0 : error_set(err, ERROR_INTERNAL, "out of memory for %s", file->path);
}

static int prepare_update(struct repo *repo, git_tree *tree, const struct repo_file *file, git_tree_update *update,
                          bool *needed, struct error *err)
{
    git_filemode_t mode = GIT_FILEMODE_BLOB;
    bool exists = false;
    if (!fs_path_is_clean(file->path))
        return error_set(err, ERROR_INPUT, "commit %.200s: not a path inside the repository", file->path);
    if (find_mode(tree, file, &mode, &exists, err) < 0)
        return -1;
    *update = (git_tree_update){.path = file->path, .filemode = mode};
    *needed = file->data || exists;
    if (!file->data) {
        update->action = GIT_TREE_UPDATE_REMOVE;
        return 0;
    }
    update->action = GIT_TREE_UPDATE_UPSERT;
    int status = git_blob_create_from_buffer(&update->id, repo->git, file->data, file->len);
    return status < 0 ? repo_git_error(err, status, ERROR_IO, "commit %s", file->path) : 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const git_tree_update *)a)->path, ((const git_tree_update *)b)->path);
}

static int check_distinct(git_tree_update *updates, size_t count, struct error *err)
{
    if (count > 1)
        qsort(updates, count, sizeof *updates, by_path);
    for (size_t i = 1; i < count; i++)
        if (!strcmp(updates[i - 1].path, updates[i].path))
            return error_set(err, ERROR_INPUT, "commit %s: it is given twice", updates[i].path);
    return 0;
}

static int make_tree(struct repo *repo, git_tree *base, const struct repo_file *files, size_t count, git_oid *id,
                     struct error *err)
{
    AUTO_FREE git_tree_update *updates = calloc(count + 1, sizeof *updates);
    size_t used = 0;
    if (!updates)
        return error_set(err, ERROR_INTERNAL, "out of memory for %zu files", count);
    for (size_t i = 0; i < count; i++) {
        bool needed = false;
        if (prepare_update(repo, base, &files[i], &updates[used], &needed, err) < 0)
            return -1;
        used += needed;
    }
    if (check_distinct(updates, used, err) < 0)
        return -1;
    int status = git_tree_create_updated(id, repo->git, base, used, updates);
    return status < 0 ? repo_git_error(err, status, ERROR_IO, "make the commit's tree") : 0;
}

int repo_commit(struct repo *repo, const char *parent_id, const struct repo_file *files, size_t count,
                const struct repo_person *author, const char *message, int64_t when_ms, char id[static REPO_ID_SIZE],
                struct error *err)
{
    REPO_AUTO(git_commit) *parent = repo_commit_of(repo, parent_id, err);
    REPO_AUTO(git_tree) *base = parent ? repo_tree_of(repo, parent_id, err) : NULL;
    REPO_AUTO(git_tree) *tree = NULL;
    REPO_AUTO(git_signature) *signature = NULL;
    git_oid tree_id, commit_id;
    if (!base || make_tree(repo, base, files, count, &tree_id, err) < 0)
        return -1;
    int status = git_signature_new(&signature, author->name, author->email, when_ms / 1000, 0);
    if (status < 0)
        return repo_git_error(err, status, ERROR_INPUT, "commit as %s <%s>", author->name, author->email);
    status = git_tree_lookup(&tree, repo->git, &tree_id);
    if (status == 0)
        status = git_commit_create(&commit_id, repo->git, NULL, signature, signature, "UTF-8", message, tree, 1,
                                   (const git_commit **)&parent);
    if (status < 0)
        return repo_git_error(err, status, ERROR_IO, "commit on %.12s", parent_id);
    git_oid_tostr(id, REPO_ID_SIZE, &commit_id);
    return 0;
}

/* ---- what is between two commits ---- */

static int start_walk(struct repo *repo, const char *base, const char *head, git_revwalk **walk)
{
    git_oid from, to;
    int status = git_oid_fromstr(&from, base);
    if (status == 0)
        status = git_oid_fromstr(&to, head);
    if (status == 0)
        status = git_revwalk_new(walk, repo->git);
    if (status == 0)
        status = git_revwalk_sorting(*walk, GIT_SORT_TOPOLOGICAL | GIT_SORT_REVERSE);
    if (status == 0)
        status = git_revwalk_push(*walk, &to);
    return status == 0 ? git_revwalk_hide(*walk, &from) : status;
}

static int read_info(struct repo *repo, const git_oid *oid, struct repo_commit_info *info, struct error *err)
{
    git_oid_tostr(info->id, sizeof info->id, oid);
    REPO_AUTO(git_commit) *commit = repo_commit_of(repo, info->id, err);
    if (!commit)
        return -1;
    const char *message = git_commit_message(commit);
    info->author_email = strdup(git_commit_author(commit)->email);
    info->message = strdup(message ? message : "");
    return info->author_email && info->message ? 0 : error_set(err, ERROR_INTERNAL, "out of memory for a commit");
}

static int collect(struct repo *repo, git_revwalk *walk, size_t max, struct repo_commit_info *commits, size_t *count,
                   struct error *err)
{
    git_oid oid;
    int status;
    while ((status = git_revwalk_next(&oid, walk)) == 0) {
        if (*count == max)
            return error_set(err, ERROR_LIMIT, "more than the %zu commits that are looked at", max);
        if (read_info(repo, &oid, &commits[(*count)++], err) < 0)
            return -1;
    }
    return status == GIT_ITEROVER ? 0 : repo_git_error(err, status, ERROR_IO, "walk the commits");
}

int repo_log(struct repo *repo, const char *base, const char *head, size_t max, struct repo_commit_info **out,
             size_t *count, struct error *err)
{
    REPO_AUTO(git_revwalk) *walk = NULL;
    int status = start_walk(repo, base, head, &walk);
    if (status < 0)
        return repo_git_error(err, status, ERROR_INPUT, "log of %.12s..%.12s", base, head);
    size_t found = 0;
    struct repo_commit_info *commits = calloc(max + 1, sizeof *commits);
    if (!commits)
        return error_set(err, ERROR_INTERNAL, "out of memory for %zu commits", max);
    if (collect(repo, walk, max, commits, &found, err) < 0) {
        repo_log_free(commits, found);
        return error_wrap(err, "log of %.12s..%.12s", base, head);
    }
    *out = commits;
    *count = found;
    return 0;
}

void repo_log_free(struct repo_commit_info *commits, size_t count)
{
    for (size_t i = 0; commits && i < count; i++) {
        free(commits[i].author_email);
        free(commits[i].message);
    }
    free(commits);
}

static int diff_of(struct repo *repo, const char *from, const char *to, git_diff **diff, struct error *err)
{
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.flags = GIT_DIFF_INCLUDE_TYPECHANGE;
    options.id_abbrev = 12;
    REPO_AUTO(git_tree) *old_tree = repo_tree_of(repo, from, err);
    REPO_AUTO(git_tree) *new_tree = old_tree ? repo_tree_of(repo, to, err) : NULL;
    if (!new_tree)
        return -1;
    int status = git_diff_tree_to_tree(diff, repo->git, old_tree, new_tree, &options);
    return status < 0 ? repo_git_error(err, status, ERROR_IO, "diff of %.12s and %.12s", from, to) : 0;
}

int repo_changed_paths(struct repo *repo, const char *from, const char *to, char ***paths, size_t *count,
                       struct error *err)
{
    REPO_AUTO(git_diff) *diff = NULL;
    if (diff_of(repo, from, to, &diff, err) < 0)
        return -1;
    /* Without rename detection each path comes once, in git's order: bytewise. */
    size_t found = git_diff_num_deltas(diff);
    char **list = calloc(found + 1, sizeof *list);
    bool whole = list;
    for (size_t i = 0; whole && i < found; i++) {
        list[i] = strdup(git_diff_get_delta(diff, i)->new_file.path);
        whole = list[i];
    }
    if (!whole) {
        for (size_t i = 0; list && i < found; i++)
            free(list[i]);
        free(list);
        return error_set(err, ERROR_INTERNAL, "out of memory for %zu paths", found);
    }
    *paths = list;
    *count = found;
    return 0;
}

static int add_line(const git_diff_delta *delta, const git_diff_hunk *hunk, const git_diff_line *line, void *out)
{
    (void)delta;
    (void)hunk;
    bool marked = line->origin == GIT_DIFF_LINE_CONTEXT || line->origin == GIT_DIFF_LINE_ADDITION ||
                  line->origin == GIT_DIFF_LINE_DELETION;
    if (marked && buf_putc(out, line->origin) < 0)
        return -1;
    return buf_add(out, line->content, line->content_len);
}

int repo_diff(struct repo *repo, const char *from, const char *to, struct buf *out, struct error *err)
{
    REPO_AUTO(git_diff) *diff = NULL;
    if (diff_of(repo, from, to, &diff, err) < 0)
        return -1;
    int status = git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, add_line, out);
    if (out->failed)
        return buf_check(out, "the diff", err);
    return status < 0 ? repo_git_error(err, status, ERROR_IO, "diff of %.12s and %.12s", from, to) : 0;
}
