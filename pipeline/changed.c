#include "pipeline/changed.h"

#include <errno.h>
#include <git2.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "pipeline/change.h"

static size_t count_lines(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += text[i] == '\n';
    return count + (len && text[len - 1] != '\n');
}

static int on_line(const git_diff_delta *delta, const git_diff_hunk *hunk, const git_diff_line *line, void *context)
{
    struct changed_lines *lines = context;
    (void)delta;
    (void)hunk;
    if (line->origin == GIT_DIFF_LINE_ADDITION && line->new_lineno > 0 && (size_t)line->new_lineno <= lines->count)
        lines->is[line->new_lineno] = true;
    return 0;
}

int changed_lines_find(const char *before, size_t before_len, const char *after, size_t after_len,
                       struct changed_lines *out, struct error *err)
{
    struct changed_lines lines = {.count = count_lines(after, after_len)};
    git_diff_options options;
    git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
    options.context_lines = 0;
    options.flags = GIT_DIFF_FORCE_TEXT;
    lines.is = calloc(lines.count + 1, sizeof *lines.is);
    if (!lines.is)
        return error_system(err, ENOMEM, "compare a file with its base");
    git_libgit2_init(); /* counted, so that whoever else uses the library goes on */
    int status =
        git_diff_buffers(before, before_len, NULL, after, after_len, NULL, &options, NULL, NULL, NULL, on_line, &lines);
    git_libgit2_shutdown();
    if (status < 0) {
        changed_lines_release(&lines);
        return error_set(err, ERROR_INTERNAL, "compare a file with its base: libgit2 gives error %d", status);
    }
    *out = lines;
    return 0;
}

bool changed_lines_has(const struct changed_lines *lines, size_t line)
{
    return line > 0 && line <= lines->count && lines->is[line];
}

void changed_lines_release(struct changed_lines *lines)
{
    free(lines->is);
    *lines = (struct changed_lines){0};
}

int changed_lines_of(const struct change_file *file, const char *tree, struct changed_lines *out, struct error *err)
{
    AUTO_BUF struct buf before = BUF_INIT(MiB(4));
    if (!file->is_new && fs_read_beneath(tree, file->path, &before, err) < 0)
        return -1;
    return changed_lines_find(buf_text(&before), before.len, file->content ? file->content : "", file->len, out, err);
}
