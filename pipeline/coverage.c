#include "pipeline/coverage.h"

#include <stdbool.h>

#include "app/base/json.h"
#include "pipeline/changed.h"

enum { MAX_PLACES = 100 };

struct tally {
    size_t lines, lines_run, branches, branches_run;
    json_t *uncovered;
};

static bool holds(const json_t *numbers, json_int_t number)
{
    size_t index;
    json_t *each;
    json_array_foreach (numbers, index, each)
        if (json_integer_value(each) == number)
            return true;
    return false;
}

/* Lines that follow each other are one place, with what is no statement between them. */
static void add_missed_line(struct tally *tally, const char *path, json_int_t line, bool goes_on)
{
    size_t count = json_array_size(tally->uncovered);
    if (goes_on && count)
        json_object_set_new(json_array_get(tally->uncovered, count - 1), "last", json_integer(line));
    else if (count < MAX_PLACES)
        json_array_append_new(tally->uncovered,
                              json_pack("{s:s, s:I, s:I}", "path", path, "first", line, "last", line));
}

static void count_lines(struct tally *tally, const char *path, const json_t *file, const struct changed_lines *changed)
{
    bool goes_on = false;
    for (size_t line = 1; line <= changed->count; line++) {
        json_int_t number = (json_int_t)line;
        bool ran = holds(json_object_get(file, "executed_lines"), number);
        bool missed = !ran && holds(json_object_get(file, "missing_lines"), number);
        if (changed_lines_has(changed, line) && missed)
            add_missed_line(tally, path, number, goes_on);
        if (changed_lines_has(changed, line)) {
            tally->lines += ran || missed;
            tally->lines_run += ran;
        }
        goes_on = !ran && changed_lines_has(changed, line) && (missed || goes_on);
    }
}

static void count_branches(struct tally *tally, const char *path, const json_t *file,
                           const struct changed_lines *changed, bool ran)
{
    const json_t *run_lines = json_object_get(file, "executed_lines");
    size_t index;
    json_t *branch;
    json_array_foreach (json_object_get(file, ran ? "executed_branches" : "missing_branches"), index, branch) {
        json_int_t from = json_integer_value(json_array_get(branch, 0)),
                   to = json_integer_value(json_array_get(branch, 1));
        if (from <= 0 || !changed_lines_has(changed, (size_t)from))
            continue;
        tally->branches++;
        tally->branches_run += ran;
        /* Where a line itself never ran, it is told already. */
        if (!ran && holds(run_lines, from) && (to <= 0 || holds(run_lines, to)) &&
            json_array_size(tally->uncovered) < MAX_PLACES)
            json_array_append_new(tally->uncovered, json_pack("{s:s, s:I, s:I, s:I}", "path", path, "first", from,
                                                              "last", from, "to", to > 0 ? to : (json_int_t)0));
    }
}

json_t *coverage_count(const struct change *change, const char *tree, const json_t *report, struct error *err)
{
    json_auto_t *uncovered = json_array();
    struct tally tally = {.uncovered = uncovered};
    for (size_t i = 0; i < change->count; i++) {
        const struct change_file *file = &change->files[i];
        const json_t *seen = json_object_get(json_object_get(report, "files"), file->path);
        struct changed_lines changed = {0};
        if (file->kind != FILE_CODE || !file->content || !seen)
            continue;
        if (changed_lines_of(file, tree, &changed, err) < 0) {
            error_wrap(err, "%s", file->path);
            return NULL;
        }
        count_lines(&tally, file->path, seen, &changed);
        count_branches(&tally, file->path, seen, &changed, true);
        count_branches(&tally, file->path, seen, &changed, false);
        changed_lines_release(&changed);
    }
    size_t all = tally.lines + tally.branches, run = tally.lines_run + tally.branches_run;
    json_t *out = json_pack("{s:I, s:I, s:I, s:I, s:f, s:O}", "lines", (json_int_t)tally.lines, "lines_run",
                            (json_int_t)tally.lines_run, "branches", (json_int_t)tally.branches, "branches_run",
                            (json_int_t)tally.branches_run, "share", all ? (double)run / (double)all : 1.0, "uncovered",
                            uncovered);
    if (!out)
        error_set(err, ERROR_INTERNAL, "out of memory");
    return out;
}
