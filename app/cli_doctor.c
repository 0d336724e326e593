/* assay doctor: is everything there, and if not, what to do? One line for each check. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/base/fs.h"
#include "app/base/http.h"
#include "app/base/json.h"
#include "app/base/proc.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/storage.h"
#include "app/store.h"
#include "app/table.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

enum {
    LINE_MAX_BYTES = 4096,
    DISK_MIN_MIB = 1024, /* below it a warning: mirrors and workspaces need room */
    TOOL_MS = 30 * 1000,
    HTTP_MS = 5 * 1000,
};

struct doctor {
    struct config config;
    struct secrets *secrets;
    struct log log;
    struct screen screen;
    json_t *checks; /* with --json: what was found so far; else NULL */
    char *tools;    /* NULL when not found */
    bool failed;
};

/* ---- one line ---- */

static const char *const finding_names[] = {[FINDING_OK] = "ok", [FINDING_WARN] = "warn", [FINDING_FAIL] = "fail"};

__attribute__((format(printf, 4, 5))) static void report(struct doctor *doctor, enum finding finding, const char *check,
                                                         const char *format, ...)
{
    static const enum tone tones[] = {[FINDING_OK] = TONE_GOOD, [FINDING_WARN] = TONE_WARN, [FINDING_FAIL] = TONE_BAD};
    AUTO_BUF struct buf detail = BUF_INIT(LINE_MAX_BYTES);
    va_list args;
    va_start(args, format);
    buf_vprintf(&detail, format, args);
    va_end(args);
    secrets_redact(doctor->secrets, &detail);
    doctor->failed = doctor->failed || finding == FINDING_FAIL;
    if (doctor->checks) {
        json_array_append_new(doctor->checks,
                              json_pack("{s:s, s:s, s:o}", "check", check, "status", finding_names[finding], "detail",
                                        json_from_text(buf_text(&detail), detail.len)));
        return;
    }
    screen_put(&doctor->screen, stdout, tones[finding], finding_names[finding]);
    printf("%*s%-14s ", (int)(6 - strlen(finding_names[finding])), "", check);
    screen_put(&doctor->screen, stdout, TONE_PLAIN, buf_text(&detail));
    printf("\n");
    fflush(stdout); /* the next check may take a while */
}

/* ---- the checks, in the order of the table at the end ---- */

static void check_configuration(struct doctor *doctor)
{
    const struct config *config = &doctor->config;
    report(doctor, FINDING_OK, "configuration", "%s: %zu forge%s, %zu model%s", config->file, config->forges.count,
           config->forges.count == 1 ? "" : "s", config->models.count, config->models.count == 1 ? "" : "s");
}

static void check_state_dir(struct doctor *doctor)
{
    struct error err = {0};
    struct statvfs disk;
    const char *path = doctor->config.state_dir;
    AUTO_FREE char *probe = fs_make_dirs(path, 0700, &err) == 0 ? fs_make_temp_dir(path, ".doctor-", &err) : NULL;
    if (!probe) {
        report(doctor, FINDING_FAIL, "state_dir", "%s; give this user write access, or set state_dir", err.message);
        return;
    }
    rmdir(probe);
    bool known = statvfs(path, &disk) == 0;
    unsigned long long free_mib = known ? (unsigned long long)disk.f_bavail * disk.f_frsize / MiB(1) : 0;
    bool tight = known && free_mib < DISK_MIN_MIB;
    report(doctor, tight ? FINDING_WARN : FINDING_OK, "state_dir", "%s can be written to, %llu MiB free%s", path,
           free_mib, tight ? "; make room for mirrors and workspaces" : "");
}

static void check_database(struct doctor *doctor)
{
    struct error err = {0};
    struct store *store = store_open(doctor->config.database, &err);
    bool sound = store && store_ping(store, &err) == 0 && store_examine(store, &err) == 0;
    json_auto_t *status = sound ? store_status(store, &err) : NULL;
    store_close(store);
    if (!status) {
        report(doctor, FINDING_FAIL, "database", "%s", err.message);
        return;
    }
    json_int_t dead = json_int_at(status, "deliveries.dead", 0);
    report(doctor, dead ? FINDING_WARN : FINDING_OK, "database",
           "schema %lld, %lld jobs queued, %lld running, %lld deliveries waiting%s",
           (long long)json_int_at(status, "schema", 0), (long long)json_int_at(status, "jobs.queued", 0),
           (long long)json_int_at(status, "jobs.running", 0), (long long)json_int_at(status, "deliveries.waiting", 0),
           dead ? "; some deliveries were given up: `assay deliveries --dead` says why, `--retry ID` tries one again"
                : "");
}

static double mib_at(const json_t *sizes, const char *path)
{
    return (double)json_int_at(sizes, path, 0) / (1 << 20);
}

static void check_storage(struct doctor *doctor)
{
    struct error err = {0};
    json_auto_t *sizes = storage_measure(&doctor->config, &err);
    if (sizes)
        report(doctor, FINDING_OK, "storage",
               "database %.1f MiB, %lld git mirrors %.1f MiB, workspaces %.1f MiB; `assay storage` tells more",
               mib_at(sizes, "database.database.bytes"), (long long)json_int_at(sizes, "state_dir.mirrors.count", 0),
               mib_at(sizes, "state_dir.mirrors.bytes"), mib_at(sizes, "state_dir.work.bytes"));
    else
        report(doctor, FINDING_WARN, "storage", "%s", err.message);
}

/* Runs one of the pinned tools, so that a broken virtual environment is found as well as a missing one. */
static bool tool_works(const struct doctor *doctor, const char *name, struct error *err)
{
    AUTO_FREE char *program = text_format("%s/python/bin/%s", doctor->tools, name);
    const char *const argv[] = {program, "--version", NULL};
    struct proc_result result = {.out = BUF_INIT(KiB(4)), .err = BUF_INIT(KiB(4))};
    const struct proc_request request = {.argv = argv, .timeout_ms = TOOL_MS};
    int status = proc_run(&request, &result, err);
    if (status == 0 && result.exit_status != 0)
        status = error_set(err, ERROR_IO, "%s --version ends with status %d", program, result.exit_status);
    proc_result_release(&result);
    return status == 0;
}

static void check_tools(struct doctor *doctor)
{
    static const char *const names[] = {"python", "pytest", "ruff", "mypy"};
    struct error err = {0};
    doctor->tools = config_tools_dir(&doctor->config, &err);
    bool work = doctor->tools != NULL;
    for (size_t i = 0; work && i < sizeof names / sizeof names[0]; i++)
        work = tool_works(doctor, names[i], &err);
    if (work)
        report(doctor, FINDING_OK, "tools", "python, pytest, ruff and mypy in %s/python", doctor->tools);
    else
        report(doctor, FINDING_FAIL, "tools", "%s; run `sh deploy/bootstrap tools`", err.message);
}

static void check_sandbox(struct doctor *doctor)
{
    struct error err = {0};
    AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
    const struct config *config = &doctor->config;
    struct sandbox *sandbox = sandbox_new(&config->sandbox, config->state_dir, doctor->tools, &err);
    if (sandbox && sandbox_check(sandbox, &line, &err) == 0)
        report(doctor, FINDING_OK, "sandbox", "%s", buf_text(&line));
    else
        report(doctor, FINDING_FAIL, "sandbox", "%s", err.message);
    sandbox_free(sandbox);
}

static void check_models(struct doctor *doctor)
{
    struct error err = {0};
    const struct config *config = &doctor->config;
    if (!config->models.count) {
        report(doctor, FINDING_FAIL, "model",
               "none is configured; add one under `models:`, or set ANTHROPIC_API_KEY, "
               "OPENAI_API_KEY, DEEPSEEK_API_KEY or OLLAMA_HOST");
        return;
    }
    struct models *models =
        models_new(config->models.items, config->models.count, &config->routes, doctor->secrets, &doctor->log, &err);
    if (!models)
        report(doctor, FINDING_FAIL, "model", "%s", err.message);
    for (size_t i = 0; models && i < config->models.count; i++) {
        AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
        bool answers = models_doctor(models, i, &line, &err) == 0;
        report(doctor, answers ? FINDING_OK : FINDING_FAIL, "model", "%s", answers ? buf_text(&line) : err.message);
    }
    models_free(models);
}

static void check_forge(struct doctor *doctor, const struct forge_config *config)
{
    struct error err = {0};
    struct secret secret = {0};
    AUTO_BUF struct buf line = BUF_INIT(LINE_MAX_BYTES);
    struct forge *forge = forge_new(config, doctor->secrets, &doctor->log, &err);
    bool works = forge && forge_doctor(forge, &line, &err) == 0;
    forge_free(forge);
    if (works && !config->webhook_secret)
        works = error_set(&err, ERROR_CONFIG, "webhook_secret is missing; set it here and on the forge") == 0;
    else if (works)
        works = secret_load(config->webhook_secret, &secret, &err) == 0;
    secret_release(&secret);
    report(doctor, works ? FINDING_OK : FINDING_FAIL, "forge", "%s: %s", config->name,
           works ? buf_text(&line) : err.message);
}

static void check_forges(struct doctor *doctor)
{
    const struct forge_config *forges = doctor->config.forges.items;
    if (!doctor->config.forges.count)
        report(doctor, FINDING_WARN, "forge", "none is configured: `assay run` works, `assay serve` needs one");
    for (size_t i = 0; i < doctor->config.forges.count; i++)
        check_forge(doctor, &forges[i]);
}

/* Does an Assay answer there? */
static bool answers(const char *url, struct error *err)
{
    AUTO_FREE char *address = text_format("%s/healthz", url);
    struct http_client *client = http_client_new("assay-doctor", err);
    const struct http_request request = {
        .method = "GET", .url = address, .timeout_ms = HTTP_MS, .response_max = KiB(64)};
    struct http_response response = {0};
    int status = client && address ? http_send(client, &request, &response, err) : -1;
    if (status == 0 && (response.status != 200 || !strstr(buf_text(&response.body), "\"status\"")))
        status = error_set(err, ERROR_IO, "%s answers with status %ld, not as Assay would", address, response.status);
    if (status == 0)
        http_response_release(&response);
    http_client_free(client);
    return status == 0;
}

static void check_address(struct doctor *doctor)
{
    struct error err = {0};
    const struct config *config = &doctor->config;
    const struct forge_config *forges = config->forges.items;
    AUTO_FREE char *local = text_format("http://%s", config->server.listen);
    if (!config->forges.count)
        return;
    if (!answers(local, &err)) {
        report(doctor, FINDING_WARN, "webhooks", "%s does not answer; start it with `assay serve` (%s)", local,
               err.message);
        return;
    }
    if (!*config->server.public_url) {
        report(doctor, FINDING_WARN, "webhooks",
               "%s answers, but server.public_url is not set: is it reachable for %s?", local, forges[0].name);
        return;
    }
    bool reached = answers(config->server.public_url, &err);
    for (size_t i = 0; i < config->forges.count; i++)
        report(doctor, reached ? FINDING_OK : FINDING_FAIL, "webhooks", "%s/webhooks/%s%s%s", config->server.public_url,
               forges[i].name, reached ? " answers" : " cannot be reached; check DNS and the reverse proxy: ",
               reached ? "" : err.message);
}

/* ---- all of them ---- */

static void (*const checks[])(struct doctor *) = {
    check_configuration, check_state_dir, check_database, check_storage, check_tools,
    check_sandbox,       check_models,    check_forges,   check_address,
};

static int examine(struct doctor *doctor, const char *config_path)
{
    struct error err = {0};
    if (config_load(config_path, 0, &doctor->config, &err) < 0) {
        report(doctor, FINDING_FAIL, "configuration", "%s", err.message);
        return error_exit_status(&err);
    }
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        checks[i](doctor);
    config_release(&doctor->config);
    return doctor->failed;
}

int cli_doctor(int argc, char **argv, struct error *err)
{
    bool json = false;
    const char *config_path = NULL;
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_config_and_json(argc, argv, &config_path, &json, err) < 0)
        return -1;
    struct doctor doctor = {
        .secrets = secrets_new(), .screen = screen_of(stdout), .checks = json ? json_array() : NULL};
    doctor.log = log_open("doctor");
    doctor.log.secrets = doctor.secrets;
    int status = examine(&doctor, config_path);
    if (json) {
        json_auto_t *whole = json_pack("{s:b, s:O}", "ok", status == 0, "checks", doctor.checks);
        status = cli_print_json(whole, stdout, err) < 0 ? -1 : status;
        json_decref(doctor.checks);
    }
    free(doctor.tools);
    secrets_free(doctor.secrets);
    return status;
}
