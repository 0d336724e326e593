#include "app/commits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"

enum { SLUG_MAX = 40 };

char *commits_slug(const char *title)
{
    AUTO_BUF struct buf slug = BUF_INIT(SLUG_MAX);
    for (; *title && slug.len < SLUG_MAX; title++) {
        if ((unsigned char)*title < 0x80 && isalnum((unsigned char)*title))
            buf_putc(&slug, (char)tolower((unsigned char)*title));
        else if (slug.len && slug.data[slug.len - 1] != '-')
            buf_putc(&slug, '-');
    }
    while (slug.len && slug.data[slug.len - 1] == '-')
        slug.data[--slug.len] = '\0';
    if (!slug.len)
        buf_puts(&slug, "change");
    return buf_steal(&slug, NULL);
}

static size_t files_of(const struct change *change, enum file_kind kind, struct repo_file *out)
{
    size_t count = 0;
    for (size_t i = 0; i < change->count; i++)
        if (change->files[i].kind == kind)
            out[count++] = (struct repo_file){
                .path = change->files[i].path, .data = change->files[i].content, .len = change->files[i].len};
    return count;
}

/* One line of at most 72 bytes, as git's log likes it. */
static void subject(struct buf *message, const char *verb, const char *title)
{
    char line[200];
    int len = snprintf(line, sizeof line, "%s%s", verb, title);
    for (int i = 0; i < len && i < (int)sizeof line; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    if (len > 72) {
        size_t cut = 69;
        while (cut > 40 && line[cut] != ' ')
            cut--;
        buf_printf(message, "%.*s...\n\n", (int)cut, line);
    } else
        buf_printf(message, "%s\n\n", line);
}

static void trailers(struct buf *message, const struct commits_request *request)
{
    if (request->job)
        buf_printf(message, "Assay-Job: %lld\n", (long long)request->job);
    buf_printf(message, "Assay-Tests: sha256:%s\n", request->run->change.tests_digest);
    if (request->co_author)
        buf_printf(message, "Co-authored-by: %s\n", request->co_author);
}

static int commit_kind(const struct commits_request *request, enum file_kind kind, const char *parent,
                       char id[static REPO_ID_SIZE], struct error *err)
{
    const struct change *change = &request->run->change;
    struct repo_file *files = calloc(change->count + 1, sizeof *files);
    AUTO_BUF struct buf message = BUF_INIT(KiB(16));
    if (!files)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    size_t count = files_of(change, kind, files);
    if (kind == FILE_TEST) {
        subject(&message, "Test: ", request->run->spec.title);
        buf_puts(&message, "These tests fail here, before the change; the next commit makes them pass.\n\n");
    } else {
        subject(&message, "", request->run->spec.title);
    }
    trailers(&message, request);
    int status = buf_check(&message, "the commit message", err) < 0
                     ? -1
                     : repo_commit(request->repo, parent, files, count, request->author, buf_text(&message),
                                   request->when_ms, id, err);
    free(files);
    return status;
}

int commits_make(const struct commits_request *request, char tests_id[static REPO_ID_SIZE],
                 char code_id[static REPO_ID_SIZE], struct error *err)
{
    char tests[REPO_ID_SIZE], code[REPO_ID_SIZE];
    if (commit_kind(request, FILE_TEST, request->base, tests, err) < 0)
        return error_wrap(err, "commit the tests");
    if (commit_kind(request, FILE_CODE, tests, code, err) < 0)
        return error_wrap(err, "commit the code");
    memcpy(tests_id, tests, REPO_ID_SIZE);
    memcpy(code_id, code, REPO_ID_SIZE);
    return 0;
}
