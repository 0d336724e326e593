#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/eval.h"

enum { RESULTS_MAX = 256 * 1024 * 1024, LOCK_TIMEOUT_MS = 10000 };

bool eval_is_same(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"mode", "configured", "without", "samples", "repair_rounds", "templates"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *one = json_object_get(a, keys[i]), *other = json_object_get(b, keys[i]);
        if ((one || other) && !json_equal(one, other)) /* two that are missing are not equal to jansson */
            return false;
    }
    return true;
}

/* ---- the file ---- */

/* Each line of a text; only whole ones. */
static json_t *read_lines(const char *text, struct error *err)
{
    json_auto_t *lines = json_array();
    int number = 1;
    for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, number++) {
        json_t *value = json_read(line, (size_t)(end - line), JSON_LIMITS_MODEL, err);
        if (!value || !*json_text_at(value, "task_id", "") || !json_object_get(value, "hidden")) {
            json_decref(value);
            error_set(err, ERROR_USAGE, "line %d is no result of an evaluation", number);
            return NULL;
        }
        json_array_append_new(lines, value);
    }
    return json_incref(lines);
}

json_t *eval_results_read(const char *path, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(RESULTS_MAX);
    if (fs_read(path, &text, err) < 0) {
        if (err && err->code == ERROR_NOT_FOUND)
            error_set(err, ERROR_USAGE, "there is no file %s", path);
        return NULL;
    }
    json_t *lines = read_lines(buf_text(&text), err);
    if (!lines)
        error_wrap(err, "%s", path);
    return lines;
}

/* The workers of an evaluation that was killed hold the file for as long as they take to notice. */
static int lock(int fd, const char *path, struct error *err)
{
    int64_t deadline = clock_monotonic_ms() + LOCK_TIMEOUT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (clock_monotonic_ms() > deadline)
            return error_set(err, ERROR_CONFLICT, "%s: another evaluation writes to it", path);
        clock_sleep_ms(100);
    }
    return 0;
}

/* Whoever wrote the last line may have been killed in the middle of it. What does not begin as one is not ours to cut.
 */
static int take_off_half_line(int fd, const char *path, const struct buf *text, struct error *err)
{
    static const char beginning[] = "{\"task_id\":";
    const char *end = text->len ? memrchr(text->data, '\n', text->len) : NULL;
    const char *rest = end ? end + 1 : buf_text(text);
    size_t len = strlen(rest), compared = len < strlen(beginning) ? len : strlen(beginning);
    if (strncmp(rest, beginning, compared) != 0 || rest + len != buf_text(text) + text->len)
        return error_set(err, ERROR_USAGE, "%s: its end is no result of an evaluation", path);
    if (len && ftruncate(fd, (off_t)(text->len - len)) < 0)
        return error_system(err, errno, "mend %s", path);
    return 0;
}

static int open_file(const char *path, struct eval_results *results, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(RESULTS_MAX);
    results->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0644);
    if (results->fd < 0)
        return error_system(err, errno, "open %s", path);
    if (lock(results->fd, path, err) < 0)
        return -1;
    if (fs_read(path, &text, err) < 0 || !(results->lines = read_lines(buf_text(&text), err)))
        return error_wrap(err, "%s", path);
    return take_off_half_line(results->fd, path, &text, err);
}

int eval_results_open(const char *path, struct eval_results *out, struct error *err)
{
    struct eval_results results = {.fd = -1};
    if (!path && !(results.lines = json_array()))
        return error_set(err, ERROR_INTERNAL, "no memory");
    if (path && open_file(path, &results, err) < 0) {
        eval_results_close(&results);
        return -1;
    }
    *out = results;
    return 0;
}

json_t *eval_results_find(const struct eval_results *results, const json_t *identity, const char *task_id)
{
    size_t index;
    json_t *line, *found = NULL;
    json_array_foreach (results->lines, index, line)
        if (strcmp(json_text_at(line, "task_id", ""), task_id) == 0 && eval_is_same(line, identity))
            found = line;
    return found;
}

/* ---- the store ---- */

static void give_up(struct eval_results *results, const struct error *why)
{
    log_warn(results->log, "results go to the file alone: %s", why->message);
    store_close(results->store);
    results->store = NULL;
}

/* The same for an evaluation that goes on. One without a file never does. */
static char *key_of(const char *tasks, const char *path, const json_t *identity, char hex[static DIGEST_HEX_SIZE])
{
    AUTO_FREE char *how = json_write(identity, NULL), *in = realpath(tasks, NULL);
    AUTO_FREE char *out = path ? realpath(path, NULL) : NULL;
    char id[RANDOM_ID_SIZE];
    AUTO_FREE char *text = text_format("%s\n%s\n%s", how ? how : "", in ? in : tasks, out ? out : random_id(id));
    return text ? (char *)digest_sha256(text, strlen(text), hex) : NULL;
}

void eval_results_keep(struct eval_results *results, const char *database, const char *tasks, const char *path,
                       const json_t *identity, const struct log *log)
{
    struct error why = {0};
    char hex[DIGEST_HEX_SIZE];
    const char *key = key_of(tasks, path, identity, hex), *name = strrchr(tasks, '/');
    results->log = log;
    results->store = key ? store_open(database, &why) : NULL;
    if (!results->store || store_eval_begin(results->store, key, name ? name + 1 : tasks, &results->run, &why) < 0)
        give_up(results, &why);
}

void eval_results_copy(struct eval_results *results, const json_t *line)
{
    struct error why = {0};
    if (results->store && store_eval_add(results->store, results->run, line, &why) < 0)
        give_up(results, &why);
}

/* ---- adding ---- */

static int write_line(int fd, const struct buf *line, struct error *err)
{
    off_t before = lseek(fd, 0, SEEK_END);
    for (size_t done = 0; done < line->len;) {
        ssize_t written = write(fd, line->data + done, line->len - done);
        if (written < 0 && errno != EINTR) {
            error_system(err, errno, "write a result");
            if (before >= 0 && ftruncate(fd, before) < 0) /* nothing may follow half a line */
                return error_wrap(err, "the file ends with half a line");
            return -1;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

int eval_results_add(struct eval_results *results, json_t *line, struct error *err)
{
    AUTO_FREE char *text = json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15));
    AUTO_BUF struct buf whole = BUF_INIT(MiB(4));
    int fd = results->fd < 0 ? STDOUT_FILENO : results->fd;
    if (!text || buf_printf(&whole, "%s\n", text) < 0 || json_array_append(results->lines, line) < 0)
        return error_set(err, ERROR_INTERNAL, "no memory");
    if (write_line(fd, &whole, err) < 0)
        return error_wrap(err, "%s", json_text_at(line, "task_id", ""));
    if (results->fd >= 0 && fdatasync(results->fd) < 0)
        return error_system(err, errno, "write the result of %s", json_text_at(line, "task_id", ""));
    eval_results_copy(results, line);
    return 0;
}

void eval_results_close(struct eval_results *results)
{
    store_close(results->store);
    json_decref(results->lines);
    if (results->fd >= 0)
        close(results->fd);
    *results = (struct eval_results){.fd = -1};
}
