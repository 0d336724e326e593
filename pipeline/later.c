#include "pipeline/later.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"

enum { MAX_TOKENS = 400 }; /* of a model's answer */

int later_ask(struct pipeline *pipeline, struct run *run, const struct later_question *asked, struct testfile *file,
              char **author, struct error *err)
{
    json_auto_t *schema = stage_tests_schema();
    struct stage_question question = {.role = ROLE_TESTS,
                                      .template_path = asked->template_path,
                                      .extra = asked->extra,
                                      .seed = asked->seed,
                                      .max_tokens = MAX_TOKENS,
                                      .schema = schema,
                                      .schema_name = "tests"};
    struct model_answer answer = {0};
    struct error failure = {0};
    if (stage_ask(pipeline, run, &question, &answer, &failure) < 0) {
        if (failure.code == ERROR_BUDGET)
            return 0;
        *err = failure;
        return -1;
    }
    AUTO_FREE char *code = stage_tests_code(file->language, answer.text, &failure);
    AUTO_FREE char *whole = code ? text_format("%s\n%s", asked->header ? asked->header : "", code) : NULL;
    if (whole)
        testfile_add(file, whole, asked->most, &failure);
    *author = strdup(answer.name);
    model_answer_release(&answer);
    return 0;
}

int later_count(struct pipeline *pipeline, const struct run *run, int layers, const struct testfile *file,
                struct change_file *files, size_t count, json_t *passes, struct error *err)
{
    json_auto_t *paths = json_pack("[s]", file->path);
    struct test_report report = {0};
    char trouble[256];
    files[count] =
        (struct change_file){.path = file->path, .content = file->text, .len = strlen(file->text), .kind = FILE_TEST};
    if (stage_run_tests(pipeline, run, layers, files, count + 1, paths, &report, trouble, err) < 0)
        return -1;
    for (size_t i = 0; i < report.count; i++)
        if (report.cases[i].status == TEST_PASSED)
            json_object_set_new(passes, report.cases[i].name,
                                json_integer(json_int_at(passes, report.cases[i].name, 0) + 1));
    report_release(&report);
    return 0;
}

void later_keep(struct testfile *file, const json_t *counts, json_int_t least, json_int_t most)
{
    json_auto_t *names = testfile_names(file);
    size_t index;
    json_t *name;
    json_array_foreach (names, index, name) {
        json_int_t count = json_integer_value(json_object_get(counts, json_string_value(name)));
        if (count < least || count > most)
            testfile_drop(file, json_string_value(name));
    }
}

const json_t *later_witnesses(const struct run *run)
{
    return json_object_get(run->scratch, "witnesses");
}

bool later_keep_possible(const struct run *run, struct testfile *file, const json_t *passes, size_t heard)
{
    size_t witnesses = json_array_size(later_witnesses(run)), most = witnesses / 2 + 1, left = witnesses - heard;
    later_keep(file, passes, (json_int_t)most - (json_int_t)left, INT64_MAX);
    return file->test_count > 0;
}

int later_keep_agreed(struct pipeline *pipeline, const struct run *run, struct testfile *file, struct error *err)
{
    struct change_file files[CHANGE_MAX_FILES + 1];
    json_auto_t *passes = json_object();
    size_t index;
    json_t *code;
    if (!file->test_count)
        return 0;
    json_array_foreach (later_witnesses(run), index, code) {
        size_t count = stage_code_files(code, files);
        if (later_count(pipeline, run, LAYER_BASE, file, files, count, passes, err) < 0)
            return -1;
        if (!later_keep_possible(run, file, passes, index + 1))
            break;
    }
    return 0;
}

int later_put(struct pipeline *pipeline, struct run *run, const struct testfile *file, const char *note,
              const char *author, struct error *err)
{
    AUTO_FREE char *noted = text_format("%s %s\n%s", file->language->comment, note, file->text);
    AUTO_FREE char *text = noted ? stage_tidy(pipeline, run, file->path, noted, FILE_TEST, err) : NULL;
    if (!text || change_put_later_test(&run->change, pipeline->tree, &pipeline->policy.forbidden_paths, file->path,
                                       text, strlen(text), author, err) < 0)
        return error_wrap(err, "keep %s", file->path);
    run_credit(run, file->path, author);
    return 0;
}
