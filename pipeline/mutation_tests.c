/* Tests that find what the locked ones do not: asked for once, tried out, and kept apart from those that were written
 * before the code. */
#include "pipeline/mutation.h"

#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "pipeline/later.h"
#include "pipeline/testfile.h"

enum { MAX_SHOWN = 5, MAX_WRITTEN = 8 };

static json_t *survivors_of(const json_t *mutants, bool all)
{
    json_t *out = json_array(), *mutant;
    size_t index;
    for (int alike = 0; alike < 2; alike++) /* what a test can surely find comes first */
        json_array_foreach (mutants, index, mutant)
            if (strcmp(json_text_at(mutant, "fate", ""), "survived") == 0 &&
                json_true_at(mutant, "alike") == (alike == 1) && (all || json_array_size(out) < MAX_SHOWN))
                json_array_append(out, mutant);
    return out;
}

static int ask(struct pipeline *pipeline, struct run *run, const json_t *mutants, struct testfile *file, char **author,
               struct error *err)
{
    json_auto_t *survivors = survivors_of(mutants, false);
    json_auto_t *extra = json_pack("{s:O}", "survivors", survivors);
    struct later_question question = {
        .template_path = "prompts/survivors.mustache", .extra = extra, .seed = 50, .most = MAX_WRITTEN};
    if (later_ask(pipeline, run, &question, file, author, err) < 0)
        return error_wrap(err, "ask for tests that find mutants");
    return 0;
}

/* Leaves the tests that the code passes, and most of the witnesses. */
static int keep_agreeing(struct pipeline *pipeline, const struct run *run, struct testfile *file, struct error *err)
{
    struct change_file files[1];
    json_auto_t *on_code = json_object();
    if (later_count(pipeline, run, LAYER_CODE, file, files, 0, on_code, err) < 0)
        return -1;
    later_keep(file, on_code, 1, 1);
    return later_keep_agreed(pipeline, run, file, err);
}

/* Leaves the tests that find a survivor; what they find is killed. */
static int keep_finding(struct pipeline *pipeline, const struct run *run, struct testfile *file, const json_t *mutants,
                        struct error *err)
{
    json_auto_t *survivors = survivors_of(mutants, true), *found = json_object();
    json_auto_t *tries = json_deep_copy(survivors), *paths = json_pack("[s]", file->path);
    struct change_file extra = {
        .path = file->path, .content = file->text, .len = strlen(file->text), .kind = FILE_TEST};
    struct error trouble = {0};
    size_t index, other;
    json_t *mutant, *failed;
    if (mutation_run(pipeline, run, &extra, tries, paths, false, &trouble, err) < 0)
        return -1;
    json_array_foreach (tries, index, mutant) {
        const char *fate = json_text_at(mutant, "fate", "");
        if (strcmp(fate, "killed") != 0)
            continue;
        json_object_set_new(json_array_get(survivors, index), "fate", json_string(fate));
        json_array_foreach (json_object_get(mutant, "failed"), other, failed) {
            const char *id = json_string_value(failed), *name = strstr(id, "::");
            json_object_set_new(found, name ? name + 2 : id, json_integer(1));
        }
    }
    later_keep(file, found, 1, 1);
    return 0;
}

static int keep(struct pipeline *pipeline, struct run *run, const struct testfile *file, const char *author,
                json_t *added, struct error *err)
{
    json_auto_t *names = testfile_names(file);
    json_array_extend(added, names);
    return later_put(pipeline, run, file, "Written after the code, to find faults that the tests before it do not.",
                     author, err);
}

int mutation_add_tests(struct pipeline *pipeline, struct run *run, json_t *mutants, json_t *added, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    struct import_rules *rules = language ? stage_import_rules(pipeline, run, err) : NULL;
    AUTO_FREE char *name = text_format("%s_mutants", run->spec.symbol);
    AUTO_FREE char *author = NULL;
    struct testfile file = {0};
    int status = -1;
    if (rules && name && testfile_init(&file, language, rules, pipeline->tree, &run->spec, err) == 0 &&
        testfile_name(&file, pipeline->tree, name, err) == 0)
        status = ask(pipeline, run, mutants, &file, &author, err);
    if (status == 0 && file.test_count)
        status = keep_agreeing(pipeline, run, &file, err);
    if (status == 0 && file.test_count)
        status = keep_finding(pipeline, run, &file, mutants, err);
    if (status == 0 && file.test_count)
        status = keep(pipeline, run, &file, author, added, err);
    testfile_release(&file);
    import_rules_free(rules);
    return status;
}
