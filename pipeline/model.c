#include "pipeline/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app/base/clock.h"
#include "pipeline/model_internal.h"

enum {
    ATTEMPTS = 4,           /* at one model, while its trouble looks passing */
    BACKOFF_FIRST_MS = 500, /* bound of the first pause, doubled for each further one */
    TICK_MS = 100,          /* how often a pause looks whether it was cancelled */
};

/* ---- setting up ---- */

static int entries_init(struct models *models, const struct model_config *configs, size_t count, struct error *err)
{
    models->entries = calloc(count ? count : 1, sizeof *models->entries);
    if (!models->entries)
        return error_set(err, ERROR_INTERNAL, "no memory");
    for (size_t i = 0; i < count; i++) {
        if (!configs[i].name || !configs[i].model)
            return error_set(err, ERROR_CONFIG, "models[%zu] needs a name and a model", i);
        for (size_t n = 0; n < i; n++)
            if (strcmp(configs[n].name, configs[i].name) == 0)
                return error_set(err, ERROR_CONFIG, "two models are named \"%s\": rename one", configs[i].name);
        if (model_entry_init(&models->entries[i], &configs[i], models, err) < 0)
            return error_wrap(err, "model %s", configs[i].name);
        models->count++;
    }
    return model_routes_check(models, err);
}

struct models *models_new(const struct model_config *configs, size_t count, const struct model_routes *routes,
                          struct secrets *secrets, const struct log *log, struct error *err)
{
    struct models *models = calloc(1, sizeof *models);
    if (!models) {
        error_set(err, ERROR_INTERNAL, "no memory");
        return NULL;
    }
    models->routes = routes;
    models->log = log;
    models->turn_fd = -1;
    models->own_secrets = secrets ? NULL : secrets_new();
    models->secrets = secrets ? secrets : models->own_secrets;
    models->http = http_client_new("assay/" ASSAY_VERSION, err);
    if (!models->secrets)
        error_set(err, ERROR_INTERNAL, "no memory");
    if (!models->secrets || !models->http || entries_init(models, configs, count, err) < 0) {
        models_free(models);
        return NULL;
    }
    return models;
}

void models_free(struct models *models)
{
    if (!models)
        return;
    for (size_t i = 0; i < models->count; i++)
        model_entry_release(&models->entries[i]);
    free(models->entries);
    http_client_free(models->http);
    auto_close(&models->turn_fd);
    secrets_free(models->own_secrets);
    free(models);
}

void models_set_budget(struct models *models, double limit_usd, double spent_usd)
{
    models->limit_usd = limit_usd;
    models->spent_usd = spent_usd;
}

double models_spent(const struct models *models)
{
    return models->spent_usd;
}

void models_set_hooks(struct models *models, void (*on_call)(void *context, const struct model_call *call),
                      bool (*cancelled)(void *context), void *context)
{
    models->on_call = on_call;
    models->cancelled = cancelled;
    models->context = context;
}

/* ---- routes ---- */

size_t models_route_length(const struct models *models, enum model_role role)
{
    return role < ROLE_COUNT ? models->routes->roles[role].count : 0;
}

/* The model at a step; past the end the last one. The route is not empty and names known models only. */
static struct model_entry *entry_at(const struct models *models, enum model_role role, size_t step)
{
    const struct yaml_texts *names = &models->routes->roles[role];
    const char *name = names->items[step < names->count ? step : names->count - 1];
    for (size_t i = 0; i < models->count; i++)
        if (strcmp(models->entries[i].config->name, name) == 0)
            return &models->entries[i];
    return NULL;
}

int64_t models_context_tokens(const struct models *models, int64_t most)
{
    for (enum model_role role = 0; role < ROLE_COUNT; role++)
        for (size_t step = 0; step < models_route_length(models, role); step++) {
            int64_t room = entry_at(models, role, step)->config->context_tokens;
            if (room > 0 && room / 5 * 3 < most)
                most = room / 5 * 3;
        }
    return most;
}

enum model_format models_format(const struct models *models, enum model_role role, size_t step)
{
    if (models_route_length(models, role) == 0)
        return MODEL_FENCED;
    return (enum model_format)entry_at(models, role, step)->config->format;
}

/* ---- asking ---- */

static int check_cancelled(const struct models *models, struct error *err)
{
    if (models->cancelled && models->cancelled(models->context))
        return error_set(err, ERROR_CANCELLED, "stopped on request");
    return 0;
}

static int check_budget(const struct models *models, const struct model_entry *entry,
                        const struct model_request *request, struct error *err)
{
    double estimate = model_upper_cost(entry, request);
    if (models->limit_usd <= 0 || estimate <= 0 || models->spent_usd + estimate <= models->limit_usd)
        return 0;
    return error_set(err, ERROR_BUDGET,
                     "the next call to %s may cost $%.4f, and $%.4f of the $%.2f allowed are spent: raise the bound to "
                     "go on",
                     entry->config->name, estimate, models->spent_usd, models->limit_usd);
}

/* Some servers cut a prompt that is too long without a word, so it is not sent at all. */
static int check_context(const struct model_entry *entry, const struct model_request *request, struct error *err)
{
    int64_t room = entry->config->context_tokens;
    int64_t need = (int64_t)model_prompt_tokens(request);
    if (room <= 0 || need < room)
        return 0;
    return error_set(err, ERROR_LIMIT,
                     "the prompt has about %lld tokens, more than the %lld that it reads: lower limits.context_tokens",
                     (long long)need, (long long)room);
}

/* Full jitter: many jobs that met the same limit do not come back together. */
static int64_t backoff_ms(int attempt)
{
    uint32_t random = 0;
    uint32_t bound = (uint32_t)BACKOFF_FIRST_MS << (attempt < 8 ? attempt : 8);
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return bound;
    return random % (bound + 1);
}

/* 0 after the pause, 1 when it would not fit before the deadline, -1 when cancelled. */
static int wait_before(const struct models *models, int attempt, int64_t retry_after_ms, int64_t deadline,
                       struct error *err)
{
    int64_t until = clock_monotonic_ms() + (retry_after_ms > 0 ? retry_after_ms : 0) + backoff_ms(attempt);
    if (until >= deadline)
        return 1;
    for (int64_t left; (left = until - clock_monotonic_ms()) > 0;) {
        if (check_cancelled(models, err) < 0)
            return -1;
        clock_sleep_ms(left < TICK_MS ? left : TICK_MS);
    }
    return 0;
}

/* Asks one model until it answers, its trouble stays, or its time is over. */
static enum attempt_end ask_model(struct models *models, struct model_entry *entry, const struct model_request *request,
                                  struct model_answer *answer, struct error *err)
{
    int64_t deadline = clock_monotonic_ms() + entry->timeout_ms;
    if (check_context(entry, request, err) < 0)
        return ATTEMPT_NEXT;
    bool was_empty = false;
    for (int attempt = 0;;) {
        if (check_cancelled(models, err) < 0 || check_budget(models, entry, request, err) < 0)
            return ATTEMPT_FAILED;
        int64_t queued = 0;
        if (model_turn_take(models, &queued, err) < 0)
            return ATTEMPT_FAILED;
        deadline += queued;
        enum attempt_end end = model_attempt(models, entry, request, deadline, answer, err);
        model_turn_give(models);
        if (end == ATTEMPT_ADAPTED)
            continue; /* once for each option at most */
        if (end == ATTEMPT_EMPTY && was_empty)
            return ATTEMPT_FAILED;
        if (end == ATTEMPT_EMPTY) {
            was_empty = true;
            continue;
        }
        if (end != ATTEMPT_AGAIN)
            return end;
        if (++attempt == ATTEMPTS)
            return ATTEMPT_NEXT;
        struct error cancelled = {0};
        int waited = wait_before(models, attempt - 1, err->retry_after_ms, deadline, &cancelled);
        if (waited == 0)
            continue;
        if (waited < 0)
            *err = cancelled;
        return waited < 0 ? ATTEMPT_FAILED : ATTEMPT_NEXT;
    }
}

/* The last model's trouble is the route's: a deadline there is a model's failure to the caller. */
static int no_answer(const struct model_entry *entry, struct error *err)
{
    if (err->code == ERROR_TIMEOUT || err->code == ERROR_IO)
        err->code = ERROR_MODEL;
    return error_wrap(err, "model %s", entry->config->name);
}

int models_ask(struct models *models, const struct model_request *request, struct model_answer *answer,
               struct error *err)
{
    struct error own = {0};
    size_t length = models_route_length(models, request->role);
    err = err ? err : &own; /* what to do next depends on it */
    if (length == 0)
        return error_set(err, ERROR_CONFIG, "routes.%s names no model: add one", model_role_name(request->role));
    for (size_t step = request->step < length ? request->step : length - 1;; step++) {
        struct model_entry *entry = entry_at(models, request->role, step);
        switch (ask_model(models, entry, request, answer, err)) {
        case ATTEMPT_ANSWERED:
            error_clear(err); /* an earlier attempt may have set it */
            return 0;
        case ATTEMPT_FAILED:
            return no_answer(entry, err);
        default:
            no_answer(entry, err);
        }
        if (step + 1 >= length)
            return -1;
        if (models->log)
            log_warn(models->log, "%s; asking %s", err->message, models->routes->roles[request->role].items[step + 1]);
    }
}

void model_answer_release(struct model_answer *answer)
{
    free(answer->text);
    free(answer->name);
    free(answer->model);
    *answer = (struct model_answer){0};
}

int models_doctor(struct models *models, size_t index, struct buf *line, struct error *err)
{
    struct error own = {0};
    struct model_answer answer = {0};
    struct model_request request = {.prompt = "Answer with the word: yes", .seed = -1};
    char duration[CLOCK_TEXT_SIZE];
    err = err ? err : &own;
    if (index >= models->count)
        return error_set(err, ERROR_INTERNAL, "there is no model %zu", index);
    struct model_entry *entry = &models->entries[index];
    int64_t began = clock_monotonic_ms();
    if (check_budget(models, entry, &request, err) < 0)
        return no_answer(entry, err);
    enum attempt_end end;
    do
        end = model_attempt(models, entry, &request, began + entry->timeout_ms, &answer, err);
    while (end == ATTEMPT_ADAPTED);
    if (end != ATTEMPT_ANSWERED)
        return no_answer(entry, err);
    buf_printf(line, "%s: %s answers in %s", entry->config->name, answer.model,
               clock_duration(clock_monotonic_ms() - began, duration));
    model_answer_release(&answer);
    return buf_check(line, "the doctor's line", err);
}
