/* Language models: ask one by its role, along a route, within a budget.
 *
 * A route lists model names, weakest first. A call starts at the step asked for (escalation); when that model
 * is overloaded, limited or down, the next one on the route is asked, and when none is left the call fails with
 * ERROR_MODEL. Every attempt is reported to the caller with its tokens and price, failed ones too, and the
 * budget is checked *before* each call against an upper estimate: the job stops before it passes its bound
 * (ERROR_BUDGET).
 */
#ifndef PIPELINE_MODEL_H
#define PIPELINE_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/base/buf.h"
#include "app/base/error.h"
#include "app/base/log.h"
#include "app/base/secret.h"
#include "app/base/yaml.h"

enum model_kind { MODEL_OPENAI, MODEL_ANTHROPIC };

/* How a structured answer is asked for. */
enum model_format {
    MODEL_FENCED,      /* fenced code blocks, free text around them: what small models follow best */
    MODEL_JSON_SCHEMA, /* response_format json_schema (OpenAI), a forced tool call (Anthropic) */
};

/* One entry of `models:`. */
struct model_config {
    char *name;
    int kind;
    char *model;    /* the provider's name for it */
    char *base_url; /* OpenAI-compatible: up to and including /v1; Anthropic: without /v1. NULL: the provider's own */
    char *api_key;  /* a reference: file:PATH or env:NAME; NULL: none is sent */
    struct {
        double input, output, cached_input; /* USD for a million tokens; cached_input 0: the input price */
    } price;
    int format;             /* enum model_format; key `format: fenced|json_schema` */
    int64_t max_tokens;     /* cap on the answer; default 4096 */
    int64_t context_tokens; /* what the model can read, 0: not said */
    int64_t timeout_ms;     /* one whole answer of this model, further tries and pauses included; default 10 min */
    int64_t stall_ms;       /* no byte for so long ends an attempt; default 90 s */
    int64_t line;
};

extern const struct yaml_field model_config_fields[];

enum model_role { ROLE_TESTS, ROLE_IMPLEMENT, ROLE_REPAIR, ROLE_EMBED, ROLE_COUNT };

/* The `routes:` section: names of models for each role, weakest first. */
struct model_routes {
    struct yaml_texts roles[ROLE_COUNT];
};

extern const struct yaml_field model_routes_fields[];
const char *model_role_name(enum model_role role); /* "tests", … */

/* What one attempt cost and how it went, for the journal. Texts are borrowed for the callback's time. */
struct model_call {
    const char *name;  /* ours */
    const char *model; /* as the server reports its version, else as configured */
    enum model_role role;
    const char *template_path; /* "prompts/implement.mustache" */
    const char *template_digest;
    const char *request_digest; /* SHA-256 of the request body */
    int64_t tokens_in, tokens_out, tokens_cached;
    bool tokens_estimated; /* the server did not say, or the attempt broke off: counted from bytes, never as nothing */
    double cost_usd;
    int64_t elapsed_ms;
    const char *error; /* NULL when it answered */
};

struct models;

/* Loads the keys of all configured models (also into `secrets`). `configs` and `routes` are borrowed and must
 * outlive it. A route that names no configured model is ERROR_CONFIG. */
struct models *models_new(const struct model_config *configs, size_t count, const struct model_routes *routes,
                          struct secrets *secrets, const struct log *log, struct error *err);
void models_free(struct models *models);

/* Money: calls fail with ERROR_BUDGET when spent + the estimate of the next one passes `limit_usd` (0: no bound).
 * `spent_usd` is what the job has used before (after a resume). */
void models_set_budget(struct models *models, double limit_usd, double spent_usd);
double models_spent(const struct models *models);

/* `on_call` hears of every attempt; `cancelled` is asked several times a second while a model answers. */
void models_set_hooks(struct models *models, void (*on_call)(void *context, const struct model_call *call),
                      bool (*cancelled)(void *context), void *context);

/* From now on a call waits while another process that takes turns at the same file asks a model: a small server
 * answers one at a time. The wait does not count against a model's timeout. */
int models_take_turns(struct models *models, const char *path, struct error *err);
int64_t models_waited_ms(const struct models *models); /* in all, so far */

/* A question and its answer, made up to show the form: told as an earlier turn of the talk. */
struct model_exchange {
    const char *ask, *answer;
};

struct model_request {
    enum model_role role;
    size_t step;                  /* where on the route to begin; past its end means its last model */
    const char *system;           /* stable text first: providers cache prefixes */
    struct model_exchange worked; /* a worked example before the prompt; ask NULL: none */
    const char *prompt;
    const char *template_path, *template_digest;
    double temperature;      /* 0: greedy */
    int64_t seed;            /* sent when >= 0 */
    int64_t max_tokens;      /* 0: the model's own cap */
    const json_t *schema;    /* JSON schema of the answer; used by models with format json_schema, NULL: free text */
    const char *schema_name; /* [a-z_]+ */
};

struct model_answer {
    char *text;      /* what the model wrote; for a forced tool call its arguments as JSON text */
    char *name;      /* our name of the model that answered */
    char *model;     /* its version as the server says */
    bool structured; /* the answer was held to the schema by the provider */
    bool cut;        /* it stopped at max_tokens */
};

/* An empty answer is asked for once more; the second is ERROR_MODEL (retryable). The answer is owned by the caller. */
int models_ask(struct models *models, const struct model_request *request, struct model_answer *answer,
               struct error *err);
void model_answer_release(struct model_answer *answer);

/* Models on a role's route; 0 when the role has none. */
size_t models_route_length(const struct models *models, enum model_role role);
/* How much of what a prompt holds may be the repository's, so that each model on a route can read it: three fifths of
 * the least `context_tokens`, the rest being for the request, the examples and the answer; `most` where that is less.
 */
int64_t models_context_tokens(const struct models *models, int64_t most);
/* The format that the model at this step is asked in. */
enum model_format models_format(const struct models *models, enum model_role role, size_t step);

/* About how many tokens a text is: bytes / 3.5, rounded up. An estimate for budgets, never for billing. */
size_t model_estimate_tokens(const char *text);

/* For `assay doctor`: asks model `index` for one word; line: "local: qwen2.5-coder:7b answers in 0.4 s". */
int models_doctor(struct models *models, size_t index, struct buf *line, struct error *err);

#endif
