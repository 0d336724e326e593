#include "app/eval_task.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/base/buf.h"
#include "app/base/digest.h"
#include "app/base/fs.h"
#include "app/base/json.h"
#include "app/base/proc.h"
#include "app/task_tree.h"
#include "pipeline/symbols.h"

enum { TASKS_MAX = 256 * 1024 * 1024, MAX_TASKS = 100000, GIT_TIMEOUT_MS = 120000 };

/* ---- the file ---- */

static const struct {
    const char *key;
    size_t offset;
    bool required;
} fields[] = {
    {"task_id", offsetof(struct eval_task, id), true},
    {"prompt", offsetof(struct eval_task, prompt), false},
    {"entry_point", offsetof(struct eval_task, entry_point), true},
    {"test", offsetof(struct eval_task, test), false},
    {"language", offsetof(struct eval_task, language), false},
    {"spec", offsetof(struct eval_task, spec), false},
    {"repo", offsetof(struct eval_task, repo), false},
    {"file", offsetof(struct eval_task, file), false},
};

static bool is_list_of_texts(const json_t *list)
{
    size_t index;
    json_t *item;
    json_array_foreach (list, index, item)
        if (!json_is_string(item) || !fs_path_is_clean(json_string_value(item)))
            return false;
    return json_array_size(list) > 0;
}

/* A task has a hidden test of its own, or names tests of its repository. */
static int check_tests(struct eval_task *task, const json_t *source, struct error *err)
{
    if (*task->test)
        return 0;
    task->hide = json_object_get(source, "hide");
    task->tests = json_object_get(source, "tests");
    if (!task->tests)
        return error_set(err, ERROR_INPUT, "it has neither \"test\" nor \"tests\"");
    if (!is_list_of_texts(task->hide) || !is_list_of_texts(task->tests))
        return error_set(err, ERROR_INPUT, "its \"hide\" or \"tests\" is no list of tests");
    if (!*task->repo || !*task->spec || !fs_path_is_clean(task->file))
        return error_set(err, ERROR_INPUT, "it has \"tests\", but not \"repo\", \"spec\" and \"file\"");
    return 0;
}

static int read_task(const char *line, size_t len, const struct languages *languages, struct eval_task *out,
                     struct error *err)
{
    json_auto_t *source = json_read(line, len, JSON_LIMITS_MODEL, err);
    struct eval_task task = {0};
    if (!source)
        return -1;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *value = json_text_at(source, fields[i].key, "");
        if (fields[i].required && !*value)
            return error_set(err, ERROR_INPUT, "it has no \"%s\"", fields[i].key);
        *(const char **)((char *)&task + fields[i].offset) = value;
    }
    if (check_tests(&task, source, err) < 0)
        return -1;
    if (!*task.prompt && !*task.spec)
        return error_set(err, ERROR_INPUT, "it has neither \"prompt\" nor \"spec\"");
    if (!*task.language)
        task.language = "python";
    const struct language *language = languages_by_name(languages, task.language);
    const struct language_command *command = !language    ? NULL
                                             : task.tests ? &language->commands.test
                                                          : &language->commands.hidden;
    if (!command || !command->argv.count) /* said now, and not when money has been spent */
        return error_set(err, ERROR_INPUT, "hidden tests cannot be run in its language \"%s\"", task.language);
    task.source = STEAL(source);
    *out = task;
    return 0;
}

static int add_task(struct eval_tasks *tasks, const struct eval_task *task, struct error *err)
{
    for (size_t i = 0; i < tasks->count; i++)
        if (strcmp(tasks->items[i].id, task->id) == 0)
            return error_set(err, ERROR_INPUT, "%s is there twice", task->id);
    struct eval_task *grown =
        tasks->count < MAX_TASKS ? reallocarray(tasks->items, tasks->count + 1, sizeof *tasks->items) : NULL;
    if (!grown)
        return error_set(err, ERROR_LIMIT, "there are more than %d tasks", MAX_TASKS);
    tasks->items = grown;
    tasks->items[tasks->count++] = *task;
    return 0;
}

static int read_lines(const char *text, const struct languages *languages, struct eval_tasks *tasks, struct error *err)
{
    int number = 1;
    for (const char *line = text; *line; number++) {
        size_t len = strcspn(line, "\n");
        struct eval_task task = {.id = ""};
        if (strspn(line, " \t\r") < len) {
            if (read_task(line, len, languages, &task, err) < 0 || add_task(tasks, &task, err) < 0) {
                json_decref(task.source);
                error_wrap(err, "line %d", number);
                if (err)
                    err->code = ERROR_USAGE;
                return -1;
            }
        }
        line += len + (line[len] == '\n');
    }
    return 0;
}

int eval_tasks_read(const char *path, const struct languages *languages, struct eval_tasks *out, struct error *err)
{
    AUTO_BUF struct buf text = BUF_INIT(TASKS_MAX);
    AUTO_FREE char *copy = strdup(path);
    struct eval_tasks tasks = {0};
    if (fs_read(path, &text, err) < 0)
        return err && err->code == ERROR_NOT_FOUND ? error_set(err, ERROR_USAGE, "there is no file %s", path) : -1;
    tasks.folder = copy ? strdup(dirname(copy)) : NULL;
    if (read_lines(buf_text(&text), languages, &tasks, err) < 0) {
        eval_tasks_release(&tasks);
        return error_wrap(err, "%s", path);
    }
    if (!tasks.count || !tasks.folder) {
        eval_tasks_release(&tasks);
        return error_set(err, ERROR_USAGE, "%s holds no task", path);
    }
    *out = tasks;
    return 0;
}

void eval_tasks_release(struct eval_tasks *tasks)
{
    for (size_t i = 0; i < tasks->count; i++)
        json_decref(tasks->items[i].source);
    free(tasks->items);
    free(tasks->folder);
    *tasks = (struct eval_tasks){0};
}

/* ---- a sample ---- */

struct lot {
    char digest[DIGEST_HEX_SIZE];
    size_t index;
};

static int by_digest(const void *a, const void *b)
{
    return strcmp(((const struct lot *)a)->digest, ((const struct lot *)b)->digest);
}

static int by_index(const void *a, const void *b)
{
    size_t left = ((const struct lot *)a)->index, right = ((const struct lot *)b)->index;
    return (left > right) - (left < right);
}

void eval_tasks_sample(struct eval_tasks *tasks, size_t count, long long seed)
{
    struct lot *lots = calloc(tasks->count + 1, sizeof *lots);
    struct eval_task *kept = calloc(tasks->count + 1, sizeof *kept);
    if (lots && kept && count < tasks->count) {
        for (size_t i = 0; i < tasks->count; i++) {
            AUTO_FREE char *text = text_format("%lld:%s", seed, tasks->items[i].id);
            lots[i].index = i;
            digest_sha256(text ? text : "", text ? strlen(text) : 0, lots[i].digest);
        }
        qsort(lots, tasks->count, sizeof *lots, by_digest);
        for (size_t i = count; i < tasks->count; i++)
            json_decref(tasks->items[lots[i].index].source);
        qsort(lots, count, sizeof *lots, by_index);
        for (size_t i = 0; i < count; i++)
            kept[i] = tasks->items[lots[i].index];
        free(tasks->items);
        tasks->items = STEAL(kept);
        tasks->count = count;
    }
    free(lots);
    free(kept);
}

/* ---- what a run gets to see ---- */

/* HumanEval's own form says nothing of a file. */
static char *file_of(const struct language *language)
{
    return text_format("solution%s", language->extensions.count ? language->extensions.items[0] : "");
}

/* The prompt without the function that is asked for: imports, helpers, constants. */
static int write_rest(const struct eval_task *task, const struct symbol *wanted, const char *tree, const char *file,
                      struct error *err)
{
    AUTO_BUF struct buf rest = BUF_INIT(MiB(1));
    buf_add(&rest, task->prompt, wanted->code_start);
    buf_puts(&rest, task->prompt + wanted->end);
    if (buf_check(&rest, "the prompt", err) < 0)
        return -1;
    const char *text = buf_text(&rest);
    text += strspn(text, "\r\n");
    size_t len = strlen(text);
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    if (!len)
        return 0; /* a new file, then */
    AUTO_FREE char *kept = text_format("%.*s\n", (int)len, text);
    return kept ? fs_write_beneath(tree, file, kept, len + 1, false, err) : error_set(err, ERROR_INTERNAL, "no memory");
}

char *eval_spec_text(const char *signature, const char *file, const char *language, const char *documentation)
{
    return text_format("## Signature\n\n`%s`\n\n## File\n\n%s\n\n## Language\n\n%s\n\n## Behaviour\n\n%s\n", signature,
                       file, language, documentation ? documentation : "");
}

static int split_prompt(const struct eval_task *task, const struct language *language, struct eval_question *question,
                        struct error *err)
{
    struct symbols symbols = {0};
    if (symbols_parse(language, task->prompt, strlen(task->prompt), &symbols, err) < 0)
        return -1;
    const struct symbol *wanted = symbols_find(&symbols, task->entry_point);
    AUTO_FREE char *file = file_of(language);
    int status = -1;
    if (!wanted)
        error_set(err, ERROR_INPUT, "the prompt does not define %s", task->entry_point);
    else if (!file || write_rest(task, wanted, question->tree, file, err) < 0)
        error_wrap(err, "make the tree");
    else if (!(question->text = eval_spec_text(wanted->signature, file, task->language, wanted->documentation)))
        error_set(err, ERROR_INTERNAL, "no memory");
    else
        status = 0;
    symbols_release(&symbols);
    return status;
}

static int run_git(const char *const *argv, struct error *err)
{
    struct proc_result result = {.out = BUF_INIT(KiB(64)), .err = BUF_INIT(KiB(64))};
    struct proc_request request = {.argv = argv, .timeout_ms = GIT_TIMEOUT_MS};
    int status = proc_run(&request, &result, err);
    if (status == 0 && result.exit_status != 0)
        status = error_set(err, ERROR_INPUT, "git: %.300s", buf_text(&result.err));
    proc_result_release(&result);
    return status;
}

/* Only the tree: its history may hold what is asked for. */
static int clone(const char *bundle, const char *tree, struct error *err)
{
    AUTO_FREE char *history = text_format("%s/.git", tree);
    if (!history)
        return error_set(err, ERROR_INTERNAL, "no memory");
    if (run_git((const char *const[]){"git", "clone", "--quiet", "--", bundle, tree, NULL}, err) < 0)
        return -1;
    return fs_remove_tree(history, err);
}

/* A bundle is cloned, which needs the git program; a folder is shown as it is, since a run never writes to it. */
static int find_tree(const char *where, struct eval_question *question, struct error *err)
{
    struct stat info;
    if (stat(where, &info) < 0)
        return error_set(err, ERROR_INPUT, "there is no repository %s", where);
    if (!S_ISDIR(info.st_mode))
        return clone(where, question->tree, err);
    free(question->tree);
    question->tree = strdup(where);
    return question->tree ? 0 : error_set(err, ERROR_INTERNAL, "no memory");
}

/* What was found becomes the origin; the tree is a copy of it without what is asked for and its tests. */
static int hide_tests(const struct eval_task *task, const struct language *language, const char *folder,
                      struct eval_question *question, struct error *err)
{
    const struct task_tree tree = {
        .language = language, .file = task->file, .symbol = task->entry_point, .hide = task->hide};
    question->origin = STEAL(question->tree);
    question->tree = text_format("%s/asked", folder);
    return question->tree ? task_tree_make(&tree, question->origin, question->tree, err)
                          : error_set(err, ERROR_INTERNAL, "no memory");
}

int eval_task_prepare(const struct eval_tasks *tasks, const struct eval_task *task, const struct languages *languages,
                      const char *folder, struct eval_question *out, struct error *err)
{
    struct eval_question question = {.tree = text_format("%s/tree", folder), .title = strdup(task->entry_point)};
    int status = question.tree && question.title ? fs_make_dirs(question.tree, 0700, err)
                                                 : error_set(err, ERROR_INTERNAL, "no memory");
    if (status == 0 && *task->repo) {
        AUTO_FREE char *where =
            *task->repo == '/' ? strdup(task->repo) : text_format("%s/%s", tasks->folder, task->repo);
        status = where ? find_tree(where, &question, err) : error_set(err, ERROR_INTERNAL, "no memory");
    }
    if (status == 0 && task->tests)
        status = hide_tests(task, languages_by_name(languages, task->language), folder, &question, err);
    if (status == 0 && *task->spec)
        status = (question.text = strdup(task->spec)) ? 0 : error_set(err, ERROR_INTERNAL, "no memory");
    else if (status == 0)
        status = split_prompt(task, languages_by_name(languages, task->language), &question, err);
    if (status < 0) {
        eval_question_release(&question);
        return error_wrap(err, "%s", task->id);
    }
    *out = question;
    return 0;
}

void eval_question_release(struct eval_question *question)
{
    free(question->tree);
    free(question->origin);
    free(question->title);
    free(question->text);
    *question = (struct eval_question){0};
}
