/* What the parts of the model client share: one provider's dialect behind a small vtable, one attempt's state.
 *
 * model_config.c reads what was configured, model.c walks the route, model_turn.c waits for its turn, model_call.c
 * makes one attempt, model_cost.c counts its tokens and price, model_failure.c judges what went wrong, and
 * model_<provider>.c knows how one kind of server writes requests and answers. A new provider is one file and one line
 * in model_config.c's table.
 */
#ifndef PIPELINE_MODEL_INTERNAL_H
#define PIPELINE_MODEL_INTERNAL_H

#include "app/base/digest.h"
#include "app/base/http.h"
#include "pipeline/model.h"
#include "pipeline/sse.h"

struct model_usage {
    bool known;
    int64_t in;      /* all that was read, from the cache or not */
    int64_t cached;  /* of those, read from the provider's cache */
    int64_t written; /* of those, written to it, where that has a price of its own */
    int64_t out;
};

/* What was read of one answer so far. */
struct model_reply {
    struct buf text;    /* the answer; a forced tool call's arguments */
    struct buf refusal; /* what it said in place of an answer */
    struct buf problem; /* the server's own error inside the stream */
    bool permanent;     /* … which another try will not mend */
    char *version;      /* the model as the server names it */
    struct model_usage usage;
    size_t reasoning; /* bytes of thinking that came before the answer; it is paid for and not kept */
    bool structured;  /* the text is held to the schema */
    bool cut;         /* stopped at max_tokens, or by us when it turned in circles */
    size_t looked;    /* bytes of the text in which circles were looked for */
    bool finished;    /* the server said why it stopped: the answer is whole */
    bool done;        /* the server said that the stream ends */
};

struct model_entry;

/* An optional part of the request that some models refuse (400): it is left out, or renamed, and the call repeated. */
struct model_option {
    const char *key;         /* NULL ends a table */
    const char *replacement; /* NULL: leave it out */
};

struct model_provider {
    const char *base_url;       /* where the provider itself answers */
    const char *path;           /* below base_url */
    const char *tail;           /* what people add to base_url although `path` has it: cut off; or NULL */
    const char *key_prefix;     /* "Authorization: Bearer " */
    const char *const *headers; /* fixed ones, NULL-terminated; or NULL */
    double write_factor;        /* price of a token written to the cache, in input tokens */
    const struct model_option *options;

    /* The request's body, owned by the caller; NULL without memory. */
    json_t *(*body)(const struct model_entry *entry, const struct model_request *request);
    /* Takes one event of the stream, or a whole answer that was not streamed. */
    void (*on_event)(struct model_reply *reply, const json_t *event);
    void (*on_whole)(struct model_reply *reply, const json_t *answer);
};

/* One configured model, with defaults filled in. */
struct model_entry {
    const struct model_config *config;
    const struct model_provider *provider;
    struct secret key;
    char *url;
    int64_t max_tokens, timeout_ms, stall_ms;
    unsigned refused; /* bit n: option n of the provider's table was refused by this model */
};

struct models {
    struct model_entry *entries;
    size_t count;
    const struct model_routes *routes;
    struct http_client *http;
    struct secrets *secrets;
    struct secrets *own_secrets; /* when the caller has none */
    const struct log *log;
    double limit_usd, spent_usd;
    int turn_fd; /* of the lock on whose turn it is, or -1 */
    int64_t waited_ms;
    void (*on_call)(void *context, const struct model_call *call);
    bool (*cancelled)(void *context);
    void *context;
};

/* How one attempt ended. */
enum attempt_end {
    ATTEMPT_ANSWERED,
    ATTEMPT_ADAPTED, /* the request was put in a way that this model accepts: ask again at once */
    ATTEMPT_AGAIN,   /* a passing trouble: the same model may answer later */
    ATTEMPT_EMPTY,   /* an answer without a word: the same question may be answered at once */
    ATTEMPT_NEXT,    /* this model cannot answer now, another may */
    ATTEMPT_FAILED   /* another try would fail the same way, or must not be made */
};

/* How the answer comes. */
enum form { FORM_UNKNOWN, FORM_STREAM, FORM_WHOLE };

struct attempt {
    struct models *models;
    struct model_entry *entry;
    const struct model_request *request;
    struct model_reply reply;
    struct sse sse;
    struct buf whole; /* the body when it is not a stream */
    struct buf head;  /* the first bytes of a stream, to quote when it is none */
    enum form form;
    int64_t began, deadline;
    int64_t done_at; /* when the stream said that it ends, or 0 */
    size_t received; /* bytes of answer, refusal and reasoning */
    bool broken;     /* `trouble` says why the stream was given up */
    struct error trouble;
    char digest[DIGEST_HEX_SIZE];
};

/* model_config.c */
int model_entry_init(struct model_entry *entry, const struct model_config *config, struct models *models,
                     struct error *err);
void model_entry_release(struct model_entry *entry);
int model_routes_check(const struct models *models, struct error *err);

/* model_call.c: makes one attempt, no longer than until `deadline` (monotonic), reports it, adds its price to what is
 * spent. `retry_after_ms` of the error is what the server asked for. */
enum attempt_end model_attempt(struct models *models, struct model_entry *entry, const struct model_request *request,
                               int64_t deadline, struct model_answer *answer, struct error *err);
int64_t model_max_tokens(const struct model_entry *entry, const struct model_request *request);
bool model_is_structured(const struct model_entry *entry, const struct model_request *request);
bool model_option_refused(const struct model_entry *entry, const char *key);

/* model_turn.c: waits until nobody else asks; how long that took. */
int model_turn_take(struct models *models, int64_t *waited_ms, struct error *err);
void model_turn_give(struct models *models);

/* model_cost.c: the most that one call could cost; the report of a finished attempt. */
double model_upper_cost(const struct model_entry *entry, const struct model_request *request);
size_t model_prompt_tokens(const struct model_request *request); /* estimate */
void attempt_report(const struct attempt *attempt, enum attempt_end end, const struct error *err);

/* model_failure.c: says what went wrong and whether another try makes sense. */
enum { MODEL_QUOTE_MAX = 300 }; /* bytes of a server's own words in an error */
enum attempt_end attempt_judge_status(struct attempt *attempt, const struct http_response *response, struct error *err);
enum attempt_end attempt_judge_transfer(const struct attempt *attempt, struct error *err);
enum attempt_end attempt_fail(enum attempt_end end, struct error *err, const char *what, const char *detail);
/* What a server said, fit for one line: cut, blanks squeezed, known secrets hidden. */
void model_quote(const struct models *models, const char *text, size_t len, struct buf *out);
/* The server's own message out of an error body, else the body's start. `value` is the parsed body or NULL. */
void model_quote_body(const struct models *models, const struct buf *body, const json_t *value, struct buf *out);

/* Helpers for providers. */
json_t *model_text(const char *text); /* any bytes as a JSON string; NULL gives "" */
/* Adds the turns of the talk: the worked example where there is one, then the prompt. */
void model_add_turns(json_t *list, const struct model_request *request);
void model_reply_version(struct model_reply *reply, const json_t *value);
/* The count at a path, held between 0 and a thousand million: what a server says must not overflow a sum. */
int64_t model_tokens(const json_t *value, const char *path, int64_t fallback);
/* Appends a JSON string's text; anything else is nothing. */
void model_append(struct buf *out, const json_t *value);
/* Reads {"error": {"type", "code", "message"}} or {"error": "text"} into reply->problem; false when there is none. */
bool model_reply_problem(struct model_reply *reply, const json_t *value);

#endif
