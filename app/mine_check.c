#include <stdlib.h>
#include <string.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/eval_task.h"
#include "app/mine.h"
#include "pipeline/change.h"
#include "pipeline/mined.h"

enum { MAX_FILE = 4 << 20 };

static int read_file(const struct mine *mine, const char *path, struct buf *text, struct error *err)
{
    return fs_read_beneath(mine->pipeline->tree, path, text, err);
}

/* Can each of its tests be taken out of its file? One that a class inherits cannot. */
static bool can_hide(const struct mine *mine, const struct mine_function *function)
{
    size_t index;
    json_t *id;
    json_array_foreach (function->hide, index, id) {
        AUTO_BUF struct buf text = BUF_INIT(MAX_FILE), rest = BUF_INIT(MAX_FILE);
        AUTO_FREE char *path = mined_file_of(json_string_value(id));
        json_auto_t *one = json_pack("[O]", id);
        if (!path || read_file(mine, path, &text, NULL) < 0 ||
            mined_hide(mine->language, path, buf_text(&text), text.len, one, &rest, NULL) < 0)
            return false;
    }
    return true;
}

/* The tests of `tests` that fared as wanted in every run; owned by the caller. An empty array ends it at once. */
static json_t *in_every_run(const struct mine *mine, const struct mine_function *function, struct change_file *blank,
                            const json_t *tests, const char *wanted, bool *whole, struct error *err)
{
    json_t *left = json_copy((json_t *)tests);
    *whole = true;
    for (int run = 0; run < MINE_RUNS && json_array_size(left) && *whole; run++) {
        json_auto_t *fared =
            mined_run(mine->pipeline, mine->language, function->file, blank, blank ? 1 : 0, left, whole, err);
        if (!fared) {
            json_decref(left);
            return NULL;
        }
        for (size_t i = json_array_size(left); i-- > 0;) {
            const json_t *how = json_object_get(fared, json_string_value(json_array_get(left, i)));
            if (!how || strcmp(json_string_value(how), wanted) != 0)
                json_array_remove(left, i);
        }
    }
    return left;
}

/* ---- the task ---- */

static json_t *make_task(const struct mine *mine, const struct mine_function *function, const json_t *tests)
{
    AUTO_FREE char *spec =
        eval_spec_text(function->signature, function->file, mine->language->name, function->documentation);
    return json_pack("{s:s, s:s, s:s, s:s, s:O, s:O}", "language", mine->language->name, "spec", spec ? spec : "",
                     "entry_point", function->symbol, "file", function->file, "hide", function->hide, "tests", tests);
}

/* The tests that fail without the body and pass with it, five times of five each; *reason where there are none. */
static json_t *telling_tests(const struct mine *mine, const struct mine_function *function, struct change_file *blank,
                             const char **reason, struct error *err)
{
    bool whole = true;
    json_auto_t *failing = in_every_run(mine, function, blank, function->tests, "failed", &whole, err);
    if (!failing)
        return NULL;
    if (!whole || !json_array_size(failing)) {
        *reason = whole ? "its tests pass without the body" : "its module needs it to be loaded";
        return json_array();
    }
    json_t *telling = in_every_run(mine, function, NULL, failing, "passed", &whole, err);
    if (telling && !json_array_size(telling))
        *reason = "its tests do not pass alone five times out of five";
    return telling;
}

int mine_check(struct mine *mine, const struct mine_function *function, json_t **task, const char **reason,
               struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(MAX_FILE), less = BUF_INIT(MAX_FILE);
    *task = NULL;
    *reason = NULL;
    if (!can_hide(mine, function)) {
        *reason = "a test of it is inherited";
        return 0;
    }
    if (read_file(mine, function->file, &text, err) < 0)
        return error_wrap(err, "%s", function->file);
    if (mined_blank(mine->language, buf_text(&text), text.len, function->symbol, &less, NULL) < 0) {
        *reason = "its body cannot be taken out";
        return 0;
    }
    struct change_file blank = {
        .path = function->file, .content = (char *)buf_text(&less), .len = less.len, .kind = FILE_CODE};
    json_auto_t *telling = telling_tests(mine, function, &blank, reason, err);
    if (!telling)
        return error_wrap(err, "%s", function->symbol);
    if (!*reason && !(*task = make_task(mine, function, telling)))
        *reason = "its text is not UTF-8";
    return 0;
}
