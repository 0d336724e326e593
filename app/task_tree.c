#include "app/task_tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "pipeline/mined.h"

enum { MAX_FILES = 100000, MAX_FILE = 64 << 20 };

struct copy {
    const struct task_tree *task;
    const char *from, *to;
    struct error *err;
};

static bool holds_hidden_test(const struct task_tree *task, const char *path)
{
    size_t index;
    json_t *id;
    json_array_foreach (task->hide, index, id) {
        AUTO_FREE char *file = mined_file_of(json_string_value(id));
        if (file && strcmp(file, path) == 0)
            return true;
    }
    return false;
}

/* Gives the file's text without what the task hides. */
static int take_out(const struct copy *copy, const char *path, const struct buf *text, struct buf *out)
{
    const struct task_tree *task = copy->task;
    if (task && strcmp(path, task->file) == 0)
        return mined_blank(task->language, buf_text(text), text->len, task->symbol, out, copy->err);
    if (task && holds_hidden_test(task, path))
        return mined_hide(task->language, path, buf_text(text), text->len, task->hide, out, copy->err);
    buf_add(out, text->data, text->len);
    return buf_check(out, path, copy->err);
}

static int copy_one(void *context, const char *path)
{
    const struct copy *copy = context;
    AUTO_BUF struct buf text = BUF_INIT(MAX_FILE), out = BUF_INIT(MAX_FILE);
    AUTO_FREE char *full = text_format("%s/%s", copy->from, path);
    struct stat info;
    if (!full || lstat(full, &info) < 0 || !fs_path_is_clean(path))
        return 0; /* gone, or nothing that a repository could hold */
    if (fs_read_beneath(copy->from, path, &text, copy->err) < 0 || take_out(copy, path, &text, &out) < 0)
        return -1;
    return fs_write_beneath(copy->to, path, buf_text(&out), out.len, (info.st_mode & S_IXUSR) != 0, copy->err);
}

int task_tree_make(const struct task_tree *task, const char *from, const char *to, struct error *err)
{
    struct copy copy = {task, from, to, err};
    if (fs_make_dirs(to, 0700, err) < 0 || fs_walk(from, MAX_FILES, copy_one, &copy, err) != 0)
        return error_wrap(err, "copy %s", from);
    return 0;
}
