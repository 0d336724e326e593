/* verify: anybody can check a proof again: the tests of the first commit fail there and pass on the last. */
#include <stdlib.h>
#include <string.h>

#include "app/base/json.h"
#include "pipeline/pipeline.h"
#include "pipeline/stage.h"

static int run_on(struct pipeline *pipeline, const char *tree, const struct language *language, const json_t *paths,
                  struct test_report *report, char trouble[static 256], struct error *err)
{
    struct pipeline there = *pipeline;
    struct run run = {.spec = {.language = language->name}};
    there.tree = tree;
    return stage_run_tests(&there, &run, LAYER_BASE, NULL, 0, paths, report, trouble, err);
}

static const struct language *language_of(const struct pipeline *pipeline, const struct yaml_texts *files,
                                          struct error *err)
{
    const struct language *language = files->count ? languages_by_path(pipeline->languages, files->items[0]) : NULL;
    if (!language)
        error_set(err, ERROR_INPUT, "the first commit holds no test file in a language that Assay knows");
    return language;
}

json_t *pipeline_verify(struct pipeline *pipeline, const char *red_tree, const char *green_tree,
                        const struct yaml_texts *test_files, struct error *err)
{
    const struct language *language = language_of(pipeline, test_files, err);
    json_auto_t *paths = json_array();
    struct test_report red = {0}, green = {0};
    char red_trouble[256], green_trouble[256];
    for (size_t i = 0; i < test_files->count; i++)
        json_array_append_new(paths, json_string(test_files->items[i]));
    if (!language || run_on(pipeline, red_tree, language, paths, &red, red_trouble, err) < 0)
        return NULL;
    if (run_on(pipeline, green_tree, language, paths, &green, green_trouble, err) < 0) {
        report_release(&red);
        return NULL;
    }
    const char *reason = red.failed + red.errored == 0  ? "no test fails on the tests commit"
                         : *green_trouble               ? green_trouble
                         : green.failed + green.errored ? "tests fail on the last commit"
                         : green.passed == 0            ? "no test passes on the last commit"
                                                        : "";
    json_t *out = json_pack("{s:b, s:s, s:o, s:o}", "proven", !*reason, "reason", reason, "red",
                            stage_report_json(&red), "green", stage_report_json(&green));
    report_release(&red);
    report_release(&green);
    return out;
}
