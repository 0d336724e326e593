/* What the stages share: their signature, and the three things that they do: ask a model, run a tool, judge tests.
 *
 * A stage is one file, pipeline/stage_<name>.c, with one function of the type stage_function, listed in the table of
 * pipeline.c. It reads and writes the run and nothing else that lasts.
 */
#ifndef PIPELINE_STAGE_H
#define PIPELINE_STAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "pipeline/findings.h"
#include "pipeline/imports.h"
#include "pipeline/pipeline.h"
#include "pipeline/report.h"

enum verdict {
    VERDICT_PASSED,  /* on to the stage in the table's `passed` column */
    VERDICT_FAILED,  /* on to the one in its `failed` column; run->feedback says why */
    VERDICT_STOPPED, /* the run has its outcome: on to the report */
};

struct stage_result {
    enum verdict verdict;
    char detail[256]; /* one line for people: "12 tests, all fail on base" */
};

/* Returns 0 with a result, or -1 when something outside failed and the stage must be run again later. */
typedef int stage_function(struct pipeline *pipeline, struct run *run, struct stage_result *result, struct error *err);

stage_function stage_spec, stage_context, stage_tests, stage_witness, stage_red, stage_implement, stage_imports,
    stage_static, stage_green, stage_property, stage_coverage, stage_mutation, stage_repair, stage_report;

/* Sets verdict and detail; returns 0, so that a stage can end with it. */
__attribute__((format(printf, 3, 4))) int stage_end(struct stage_result *result, enum verdict verdict,
                                                    const char *format, ...);

/* The run's language; ERROR_INTERNAL before stage_spec has set it. */
const struct language *stage_language(const struct pipeline *pipeline, const struct run *run, struct error *err);

/* ---- models ---- */

/* What models cost is added to this run and told to the journal until stage_unhook_models(); the struct is borrowed. */
struct stage_hooks {
    struct pipeline *pipeline;
    struct run *run;
};
void stage_hook_models(struct stage_hooks *hooks);
void stage_unhook_models(struct stage_hooks *hooks);

struct stage_question {
    enum model_role role;
    size_t step; /* on the role's route */
    const char *template_path;
    const json_t *extra; /* added to the run's prompt view; may be NULL */
    bool completes;      /* a function that is missing is asked for as the completion of its file */
    bool worked;         /* a worked example of the tests goes before it, where the language has one */
    double temperature;
    int64_t seed;
    int64_t max_tokens;   /* for a plain function's free text; 0: the model's own cap, which others always have */
    const json_t *schema; /* for models that answer by schema */
    const char *schema_name;
};

/* Renders the prompt over the run's view and asks. The answer is owned by the caller. */
int stage_ask(struct pipeline *pipeline, struct run *run, const struct stage_question *question,
              struct model_answer *answer, struct error *err);

/* The view that prompts are rendered with: spec fields, criteria, examples, context, tests, code. Owned by the caller.
 */
json_t *stage_prompt_view(const struct pipeline *pipeline, const struct run *run);

/* Source whose last definition wants its body, for the partial `complete`: {text, fence}, where the fence is longer
 * than any in the text. Owned by the caller. */
json_t *stage_completion_view(const char *source);

/* "Caveat:" and "Assumption:" lines outside code blocks go to the run's lists (at most 8 each). */
void stage_take_remarks(struct run *run, const char *answer);

/* ---- tools ---- */

/* Which files of the change lie on top of the base. */
enum layer { LAYER_BASE = 0, LAYER_TESTS = 1, LAYER_CODE = 2, LAYER_ALL = 3 };

struct tool_run {
    const struct language_command *command;
    int layers;                      /* of enum layer */
    const struct change_file *extra; /* files on top of these, or NULL */
    size_t extra_count;
    const json_t *files;        /* array of paths for {{files}}; may be NULL */
    const char *const *collect; /* files to read back beside the report, NULL-terminated, or NULL */
    const json_t *view;         /* more for the command's templates, or NULL */
    int64_t timeout_ms;         /* 0: the sandbox's own */
};

/* The language's own folder of pinned tools. Heap. */
char *stage_tools(const struct pipeline *pipeline, const struct language *language);

/* Runs a command of the language table in the sandbox. `result` is released by the caller. */
int stage_run_tool(struct pipeline *pipeline, const struct run *run, const struct tool_run *tool,
                   struct sandbox_result *result, struct error *err);

/* Runs tests and reads their report. A run that wrote no readable report (killed, out of memory, crashed at start)
 * gives an empty report and says why in `trouble` (at least 256 bytes; "" otherwise). */
int stage_run_tests(struct pipeline *pipeline, const struct run *run, int layers, const struct change_file *extra,
                    size_t extra_count, const json_t *files, struct test_report *report, char trouble[static 256],
                    struct error *err);

/* Array of the change's files of one kind that still exist. Owned by the caller. */
json_t *stage_paths(const struct run *run, enum file_kind kind);

/* The bytes of a file that a tool read back, or NULL. Borrowed. */
const struct sandbox_file *stage_collected(const struct sandbox_result *result, const char *path);

/* ---- judging tests ---- */

/* "tests/test_x.py::TestY::test_z": how a case is named everywhere. Heap. */
char *stage_case_id(const struct test_case *test);

enum failure_reason { FAILURE_RIGHT, FAILURE_BROKEN };

/* Why a test fails on base: missing or wrong behaviour, or a fault of the test itself (design 3.6). */
enum failure_reason stage_failure_reason(const struct pipeline *pipeline, const struct run *run,
                                         const struct language *language, const struct test_case *test);

/* {"passed", "failed", "errored", "skipped", "seconds", "tests": [{id, status, message}]} for the evidence. */
json_t *stage_report_json(const struct test_report *report);

/* The failing cases as feedback items: {test, message, details}, details cut to what helps. Owned by the caller. */
json_t *stage_failures(const struct test_report *report);

/* ---- code ---- */

/* The text after the language's safe fixes and its formatter; the text itself where the file on base is not kept in
 * that format (so that the change stays small). Heap; NULL when the sandbox failed. */
char *stage_tidy(struct pipeline *pipeline, const struct run *run, const char *path, const char *text,
                 enum file_kind kind, struct error *err);

/* Code with the imports that it lacks, where there can be one meaning only. Heap; NULL when the sandbox failed. */
char *stage_expand(struct pipeline *pipeline, const struct run *run, const char *path, const char *text,
                   struct error *err);

/* What may be imported in the base tree; the language's probe runs once for a run (its answer is kept in run->scratch).
 * Freed by the caller. */
struct import_rules *stage_import_rules(struct pipeline *pipeline, struct run *run, struct error *err);

/* Puts what a model wrote (fenced blocks, or edits as JSON) into the change as code of `author`. ERROR_INPUT with a
 * sentence that can be fed back, ERROR_DENIED for a path that must not be written. */
int stage_apply_answer(struct pipeline *pipeline, struct run *run, const char *answer, const char *author,
                       struct error *err);

/* Puts an implementation that a witness wrote ({code: [{path, content}], author}) into the change. */
int stage_take_code(struct pipeline *pipeline, struct run *run, const json_t *written, struct error *err);

/* An implementation's files ([{path, content}]) as files to run with; they borrow its texts. */
size_t stage_code_files(const json_t *code, struct change_file out[static CHANGE_MAX_FILES]);

/* What the run's function does in `files`, on inputs like those of the tests at a path: array of texts; empty for what
 * is no function, calls with other than literal arguments, or a run that did not end. NULL when the sandbox failed.
 * Owned by the caller. */
json_t *stage_observe(struct pipeline *pipeline, const struct run *run, const struct change_file *files, size_t count,
                      const char *tests, struct error *err);

/* The test code of an answer: the members of "tests", or all fenced blocks, one after the other. Heap; NULL with a
 * sentence for the model. */
char *stage_tests_code(const struct language *language, const char *answer, struct error *err);
/* The JSON schema of a structured answer with tests. Owned by the caller. */
json_t *stage_tests_schema(void);

/* The JSON schema of a structured code answer. Owned by the caller. */
json_t *stage_code_schema(void);

#endif
