/* imports: everything that the change imports resolves to the standard library, the repository, its manifest or the
 * allow-list; anything else ends the run as rejected (fail closed). */
#include "pipeline/stage.h"

#include <string.h>

#include "app/base/json.h"
#include "pipeline/symbols.h"

/* The probe's answer, from the run's scratch or from the sandbox. Borrowed from the run; NULL on failure. */
static const json_t *probe(struct pipeline *pipeline, struct run *run, const struct language *language,
                           struct error *err)
{
    const json_t *known = json_object_get(run->scratch, "probe");
    if (known)
        return known;
    AUTO_FREE char *tools = stage_tools(pipeline, language);
    json_auto_t *view = json_pack("{s:s, s:s}", "tools", tools, "probe", language->manifests.probe);
    char **argv = language_argv(&language->manifests.probe_argv, view, err);
    if (!argv)
        return NULL;
    struct sandbox_request request = {.argv = (const char *const *)argv,
                                      .tree = pipeline->tree,
                                      .cancelled = pipeline->journal.cancelled,
                                      .cancel_context = pipeline->journal.context};
    struct sandbox_result result = {0};
    json_t *answer = NULL;
    if (sandbox_run(pipeline->sandbox, &request, &result, err) == 0) {
        if (result.end == SANDBOX_EXITED && result.exit_status == 0)
            answer = json_read(buf_text(&result.out), result.out.len, JSON_LIMITS_MODEL, err);
        else
            error_set(err, ERROR_SANDBOX, "the manifest probe %s (status %d): %.200s", sandbox_end_name(result.end),
                      result.exit_status, buf_text(&result.err));
        sandbox_result_release(&result);
    }
    argv_free(argv);
    if (answer)
        json_object_set_new(run->scratch, "probe", answer);
    return answer;
}

struct import_rules *stage_import_rules(struct pipeline *pipeline, struct run *run, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    const json_t *answer = language ? probe(pipeline, run, language, err) : NULL;
    struct import_rules *rules =
        answer ? import_rules_new(language, answer, pipeline->tree, &pipeline->policy.allowed_imports, err) : NULL;
    if (!rules)
        error_wrap(err, "read what may be imported");
    for (size_t i = 0; rules && i < run->change.count; i++)
        import_rules_add_file(rules, run->change.files[i].path);
    if (rules && run->spec.file)
        import_rules_add_file(rules, run->spec.file);
    return rules;
}

static int check_file(const struct import_rules *rules, const struct language *language, const struct change_file *file,
                      json_t *undeclared, struct error *err)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, file->content, file->len, &symbols, err) < 0)
        return error_wrap(err, "%s", file->path);
    for (size_t i = 0; i < symbols.import_count; i++) {
        const struct source_import *import = &symbols.imports[i];
        if (!import_resolve(rules, file->path, import, file->kind == FILE_TEST))
            json_array_append_new(undeclared, json_pack("{s:s, s:i, s:s}", "path", file->path, "line",
                                                        (int)import->line, "module", import->module));
    }
    symbols_release(&symbols);
    return 0;
}

/* Imports that the file had before are the repository's own business. */
static void forgive_known(const struct pipeline *pipeline, const struct language *language, json_t *undeclared)
{
    for (size_t i = json_array_size(undeclared); i-- > 0;) {
        const json_t *item = json_array_get(undeclared, i);
        AUTO_BUF struct buf text = BUF_INIT(MiB(4));
        struct symbols symbols = {0};
        bool known = false;
        if (change_read(&(struct change){0}, pipeline->tree, json_text_at(item, "path", ""), &text, NULL) < 0 ||
            symbols_parse(language, buf_text(&text), text.len, &symbols, NULL) < 0)
            continue;
        for (size_t k = 0; k < symbols.import_count; k++)
            known = known || strcmp(symbols.imports[k].module, json_text_at(item, "module", "")) == 0;
        symbols_release(&symbols);
        if (known)
            json_array_remove(undeclared, i);
    }
}

int stage_imports(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err)
{
    const struct language *language = stage_language(pipeline, run, err);
    struct import_rules *rules = language ? stage_import_rules(pipeline, run, err) : NULL;
    if (!rules)
        return -1;
    json_auto_t *undeclared = json_array();
    int status = 0;
    for (size_t i = 0; status == 0 && i < run->change.count; i++)
        if (run->change.files[i].content &&
            languages_by_path(pipeline->languages, run->change.files[i].path) == language)
            status = check_file(rules, language, &run->change.files[i], undeclared, err);
    import_rules_free(rules);
    if (status < 0)
        return -1;
    forgive_known(pipeline, language, undeclared);
    json_object_set_new(run->evidence, "imports", json_pack("{s:O}", "undeclared", undeclared));
    const json_t *first = json_array_get(undeclared, 0);
    if (!first)
        return stage_end(result, VERDICT_PASSED, "every import is declared");
    run_stop(
        run, OUTCOME_REJECTED,
        "%s:%lld imports \"%s\", which is not in the standard library, the repository, its manifest or the allow-list",
        json_text_at(first, "path", ""), (long long)json_int_at(first, "line", 0), json_text_at(first, "module", ""));
    return stage_end(result, VERDICT_STOPPED, "%s", run->reason);
}
