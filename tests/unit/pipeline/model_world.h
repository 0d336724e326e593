/* What the tests of models share: scripted answers of both providers, and one test's world of servers, models and the
 * attempts that were reported.
 */
#ifndef TESTS_UNIT_PIPELINE_MODEL_WORLD_H
#define TESTS_UNIT_PIPELINE_MODEL_WORLD_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/json.h"
#include "pipeline/model.h"
#include "tests/unit/pipeline/model_server.h"

#define JSON_HEAD          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close"
#define HEAD(status, more) "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close" more
#define KEY                "sk-test-0123456789abcdef"

#define OPENAI_TEXT(text)                                                                                              \
    "data: {\"model\":\"m-2025\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define OPENAI_STOP(why) "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" why "\"}]}\n\n"
#define OPENAI_USAGE                                                                                                   \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":200,\"total_tokens\":1200,"         \
    "\"prompt_tokens_details\":{\"cached_tokens\":400}}}\n\n"
#define OPENAI_DONE "data: [DONE]\n\n"
#define OPENAI_HELLO                                                                                                   \
    "data: "                                                                                                           \
    "{\"model\":\"m-2025\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}"        \
    "\n\n" OPENAI_TEXT("Hel") OPENAI_TEXT("lo \\u00e9") OPENAI_STOP("stop") OPENAI_USAGE OPENAI_DONE

#define ANTHROPIC_START                                                                                                \
    "event: message_start\ndata: "                                                                                     \
    "{\"type\":\"message_start\",\"message\":{\"model\":\"claude-x-20250929\",\"content\":[],"                         \
    "\"usage\":{\"input_tokens\":100,\"cache_creation_input_tokens\":300,\"cache_read_input_tokens\":600,"             \
    "\"output_tokens\":1}}}\n\n"                                                                                       \
    "event: ping\ndata: {\"type\": \"ping\"}\n\n"
#define ANTHROPIC_END(why)                                                                                             \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" why "\"},"                 \
    "\"usage\":{\"output_tokens\":200}}\n\n"                                                                           \
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define ANTHROPIC_BLOCK(type, delta_type, key, text)                                                                   \
    "event: content_block_start\ndata: "                                                                               \
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"" type "\"}}\n\n"                     \
    "event: content_block_delta\ndata: "                                                                               \
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"" delta_type "\",\"" key "\":\"" text         \
    "\"}}\n\n"                                                                                                         \
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"

/* ---- one test's world ---- */

enum { CALLS_MAX = 32 };

struct world {
    struct server servers[2];
    struct model_config configs[2];
    struct model_routes routes;
    struct secrets *secrets;
    struct models *models;
    struct {
        char name[32], model[32], error[ERROR_MESSAGE_MAX];
        int64_t in, out, cached;
        bool estimated;
        double cost;
    } calls[CALLS_MAX];
    size_t call_count;
    int64_t cancel_at; /* monotonic; 0: never */
};

static char *names[] = {"first", "second"};

static inline void on_call(void *context, const struct model_call *call)
{
    struct world *world = context;
    size_t n = world->call_count++;
    assert_true(n < CALLS_MAX);
    snprintf(world->calls[n].name, sizeof world->calls[n].name, "%s", call->name);
    snprintf(world->calls[n].model, sizeof world->calls[n].model, "%s", call->model);
    snprintf(world->calls[n].error, sizeof world->calls[n].error, "%s", call->error ? call->error : "");
    world->calls[n].in = call->tokens_in;
    world->calls[n].out = call->tokens_out;
    world->calls[n].cached = call->tokens_cached;
    world->calls[n].estimated = call->tokens_estimated;
    world->calls[n].cost = call->cost_usd;
    assert_int_equal(strlen(call->request_digest), 64);
    assert_string_equal(call->template_path, "prompts/implement.mustache");
}

static inline bool is_cancelled(void *context)
{
    struct world *world = context;
    return world->cancel_at && clock_monotonic_ms() >= world->cancel_at;
}

/* One model for each script; a second script makes a route of two. */
static inline void world_init(struct world *world, enum model_kind kind, const struct step *first, size_t first_count,
                              const struct step *second, size_t second_count)
{
    *world = (struct world){.secrets = secrets_new()};
    setenv("ASSAY_TEST_KEY", KEY, 1);
    world->servers[0] = server_start(first, first_count);
    if (second)
        world->servers[1] = server_start(second, second_count);
    for (size_t i = 0; i < 2; i++)
        world->configs[i] = (struct model_config){
            .name = names[i],
            .kind = (int)kind,
            .model = "m",
            .base_url = kind == MODEL_OPENAI ? world->servers[i].url : world->servers[i].root,
            .api_key = "env:ASSAY_TEST_KEY",
            .price = {.input = 3, .output = 15, .cached_input = 0.3},
            .timeout_ms = 20 * 1000,
            .stall_ms = 5 * 1000,
        };
    world->routes.roles[ROLE_IMPLEMENT] = (struct yaml_texts){names, second ? 2 : 1};
}

static inline void world_open(struct world *world)
{
    struct error err = {0};
    size_t count = world->servers[1].pid ? 2 : 1;
    world->models = models_new(world->configs, count, &world->routes, world->secrets, NULL, &err);
    if (!world->models)
        fail_msg("%s", err.message);
    models_set_hooks(world->models, on_call, is_cancelled, world);
}

static inline void world_release(struct world *world)
{
    models_free(world->models);
    secrets_free(world->secrets);
    for (size_t i = 0; i < 2; i++)
        if (world->servers[i].pid)
            server_stop(&world->servers[i]);
}

#define WORLD(name, kind, script)                                                                                      \
    __attribute__((cleanup(world_release))) struct world name;                                                         \
    world_init(&name, kind, script, sizeof script / sizeof *script, NULL, 0)
#define WORLD_OF_TWO(name, kind, script, other)                                                                        \
    __attribute__((cleanup(world_release))) struct world name;                                                         \
    world_init(&name, kind, script, sizeof script / sizeof *script, other, sizeof other / sizeof *other)
#define ANSWER __attribute__((cleanup(model_answer_release))) struct model_answer

static inline struct model_request a_request(void)
{
    return (struct model_request){
        .role = ROLE_IMPLEMENT,
        .system = "You write code.",
        .prompt = "Write \"f\".\n",
        .template_path = "prompts/implement.mustache",
        .template_digest = "d",
        .temperature = 0.25,
        .seed = 7,
    };
}

static inline int ask(struct world *world, struct model_answer *answer, struct error *err)
{
    struct model_request request = a_request();
    if (!world->models)
        world_open(world);
    return models_ask(world->models, &request, answer, err);
}

/* The JSON body of the n-th request; its head is checked against a list of texts that it must hold. */
static inline json_t *request_body(const struct server *server, size_t n, const char *const *head)
{
    AUTO_FREE char *text = server_request(server, n);
    assert_non_null(text);
    char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    json_t *value = json_loads(body + 4, 0, NULL);
    assert_non_null(value);
    body[2] = '\0';
    for (; head && *head; head++)
        if (!strcasestr(text, *head))
            fail_msg("the request lacks \"%s\": %s", *head, text);
    return value;
}

static inline void assert_json(const json_t *value, const char *expected)
{
    AUTO_FREE char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    json_auto_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (!json_equal((json_t *)value, wanted))
        fail_msg("%s instead of %s", text, expected);
}

static inline void assert_near(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-9)
        fail_msg("%.9f instead of %.9f", got, wanted);
}

#endif
