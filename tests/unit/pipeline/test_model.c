/* Models against real servers on loopback: what is sent, what is read, what it costs, what happens when it fails. */
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

static void on_call(void *context, const struct model_call *call)
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

static bool is_cancelled(void *context)
{
    struct world *world = context;
    return world->cancel_at && clock_monotonic_ms() >= world->cancel_at;
}

/* One model for each script; a second script makes a route of two. */
static void world_init(struct world *world, enum model_kind kind, const struct step *first, size_t first_count,
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

static void world_open(struct world *world)
{
    struct error err = {0};
    size_t count = world->servers[1].pid ? 2 : 1;
    world->models = models_new(world->configs, count, &world->routes, world->secrets, NULL, &err);
    if (!world->models)
        fail_msg("%s", err.message);
    models_set_hooks(world->models, on_call, is_cancelled, world);
}

static void world_release(struct world *world)
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

static struct model_request a_request(void)
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

static int ask(struct world *world, struct model_answer *answer, struct error *err)
{
    struct model_request request = a_request();
    if (!world->models)
        world_open(world);
    return models_ask(world->models, &request, answer, err);
}

/* The JSON body of the n-th request; its head is checked against a list of texts that it must hold. */
static json_t *request_body(const struct server *server, size_t n, const char *const *head)
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

static void assert_json(const json_t *value, const char *expected)
{
    AUTO_FREE char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    json_auto_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
    assert_non_null(wanted);
    if (!json_equal((json_t *)value, wanted))
        fail_msg("%s instead of %s", text, expected);
}

static void assert_near(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-9)
        fail_msg("%.9f instead of %.9f", got, wanted);
}

/* ---- what is sent ---- */

static void test_openai_gets_a_streamed_chat_completion_request(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    static const char *const head[] = {"POST /v1/chat/completions HTTP/1.1\r\n",
                                       "\r\nAuthorization: Bearer " KEY "\r\n",
                                       "\r\nContent-Type: application/json\r\n", NULL};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    assert_int_equal(ask(&world, &answer, NULL), 0);
    json_auto_t *body = request_body(&world.servers[0], 0, head);
    assert_json(body,
                "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":4096,"
                "\"temperature\":0.25,\"seed\":7,\"messages\":[{\"role\":\"system\",\"content\":\"You write code.\"},"
                "{\"role\":\"user\",\"content\":\"Write \\\"f\\\".\\n\"}]}");
}

static void test_anthropic_gets_a_message_with_a_cached_system_prompt(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.body = ANTHROPIC_START ANTHROPIC_BLOCK("text", "text_delta", "text", "Hi") ANTHROPIC_END("end_turn")}};
    static const char *const head[] = {"POST /v1/messages HTTP/1.1\r\n", "\r\nx-api-key: " KEY "\r\n",
                                       "\r\nanthropic-version: 2023-06-01\r\n", NULL};
    WORLD(world, MODEL_ANTHROPIC, script);
    ANSWER answer = {0};
    assert_int_equal(ask(&world, &answer, NULL), 0);
    json_auto_t *body = request_body(&world.servers[0], 0, head);
    assert_json(body, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":4096,\"temperature\":0.25,\"system\":[{\"type\":"
                      "\"text\",\"text\":\"You write code.\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":"
                      "[{\"role\":\"user\",\"content\":\"Write \\\"f\\\".\\n\"}]}");
}

static void test_no_key_no_seed_and_no_system_prompt_are_not_sent(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    struct model_request request = a_request();
    request.system = NULL;
    request.seed = -1;
    request.max_tokens = 10;
    world.configs[0].api_key = NULL;
    world_open(&world);
    assert_int_equal(models_ask(world.models, &request, &answer, NULL), 0);
    json_auto_t *body = request_body(&world.servers[0], 0, NULL);
    AUTO_FREE char *text = server_request(&world.servers[0], 0);
    assert_null(strcasestr(text, "authorization"));
    assert_null(json_object_get(body, "seed"));
    assert_int_equal(json_array_size(json_object_get(body, "messages")), 1);
    assert_int_equal(json_int_at(body, "max_tokens", 0), 10);
}

static const char schema_text[] =
    "{\"type\":\"object\",\"properties\":{\"z\":{\"type\":\"string\"},\"a\":{\"type\":\"string\"}},\"required\":[\"z\","
    "\"a\"],\"additionalProperties\":false}";

static int ask_structured(struct world *world, struct model_answer *answer)
{
    json_auto_t *schema = json_loads(schema_text, 0, NULL);
    struct model_request request = a_request();
    request.schema = schema;
    request.schema_name = "files";
    world_open(world);
    return models_ask(world->models, &request, answer, NULL);
}

static void test_openai_holds_an_answer_to_a_schema_in_the_schemas_order(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_TEXT("{\\\"z\\\":1}") OPENAI_STOP("stop") OPENAI_DONE}};
    WORLD(world, MODEL_OPENAI, script);
    world.configs[0].format = MODEL_JSON_SCHEMA;
    ANSWER answer = {0};
    assert_int_equal(ask_structured(&world, &answer), 0);
    assert_true(answer.structured);
    assert_string_equal(answer.text, "{\"z\":1}");
    AUTO_FREE char *text = server_request(&world.servers[0], 0);
    AUTO_FREE char *wanted =
        text_format("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"files\","
                    "\"strict\":true,\"schema\":%s}}",
                    schema_text);
    assert_non_null(strstr(text, wanted));
}

static void test_anthropic_holds_an_answer_to_a_schema_by_a_forced_tool(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.body = ANTHROPIC_START ANTHROPIC_BLOCK("text", "text_delta", "text", "I will call the tool.") ANTHROPIC_BLOCK(
             "tool_use", "input_json_delta", "partial_json", "{\\\"z\\\": 1}") ANTHROPIC_END("tool_use")}};
    WORLD(world, MODEL_ANTHROPIC, script);
    world.configs[0].format = MODEL_JSON_SCHEMA;
    ANSWER answer = {0};
    assert_int_equal(ask_structured(&world, &answer), 0);
    assert_true(answer.structured);
    assert_string_equal(answer.text, "{\"z\": 1}");
    json_auto_t *body = request_body(&world.servers[0], 0, NULL);
    assert_json(json_object_get(body, "tool_choice"), "{\"type\":\"tool\",\"name\":\"files\"}");
    assert_json(json_at(json_array_get(json_object_get(body, "tools"), 0), "input_schema"), schema_text);
}

static void test_a_schema_is_not_sent_to_a_model_that_answers_in_fences(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    assert_int_equal(ask_structured(&world, &answer), 0);
    assert_false(answer.structured);
    json_auto_t *body = request_body(&world.servers[0], 0, NULL);
    assert_null(json_object_get(body, "response_format"));
}

/* ---- what is read ---- */

static const struct {
    const char *name;
    enum model_kind kind;
    struct step step;
    const char *text, *model;
    bool cut;
    int64_t in, out, cached; /* in 0: estimated */
    double cost;
} answers[] = {
    {"openai", MODEL_OPENAI, {.body = OPENAI_HELLO}, "Hello \u00e9", "m-2025", false, 1000, 200, 400, 0.00492},
    {"openai, three bytes at a time",
     MODEL_OPENAI,
     {.body = OPENAI_HELLO, .piece = 3},
     "Hello \u00e9",
     "m-2025",
     false,
     1000,
     200,
     400,
     0.00492},
    {"openai, CRLF and comments",
     MODEL_OPENAI,
     {.body = ": OPENROUTER PROCESSING\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\r\n\r\n"
              "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1000,"
              "\"completion_tokens\":200}}\r\n\r\ndata: [DONE]\r\n\r\n"},
     "x",
     "m",
     false,
     1000,
     200,
     0,
     0.006},
    {"openai, chunked transfer",
     MODEL_OPENAI,
     {.head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close",
      .body =
          "5\r\ndata:\r\n30\r\n {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_re\r\n11\r\nason\":\"stop\"}]}"
          "\n\n\r\n0\r\n\r\n"},
     "x",
     "m",
     false,
     0,
     0,
     0,
     0},
    {"openai, cut at max_tokens",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("abc") OPENAI_STOP("length") OPENAI_USAGE OPENAI_DONE},
     "abc",
     "m-2025",
     true,
     1000,
     200,
     400,
     0.00492},
    {"openai, no usage",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("abcdefg") OPENAI_STOP("stop") OPENAI_DONE},
     "abcdefg",
     "m-2025",
     false,
     0,
     0,
     0,
     0},
    {"openai, no usage, no end mark",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("abcdefg") OPENAI_STOP("stop")},
     "abcdefg",
     "m-2025",
     false,
     0,
     0,
     0,
     0},
    {"openai, usage of zeros",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("a") OPENAI_STOP("stop") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":0,"
                                                   "\"completion_tokens\":0}}\n\n" OPENAI_DONE},
     "a",
     "m-2025",
     false,
     0,
     0,
     0,
     0},
    {"openai, usage that lies below zero",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("a") OPENAI_STOP("stop") "data: {\"usage\":{\"prompt_tokens\":-9223372036854775807,"
                                                   "\"completion_tokens\":-5}}\n\n" OPENAI_DONE},
     "a",
     "m-2025",
     false,
     0,
     0,
     0,
     0},
    {"openai, reasoning is not the answer",
     MODEL_OPENAI,
     {.body = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hmm\"}}]}\n\n" OPENAI_TEXT("a")
          OPENAI_STOP("stop") OPENAI_USAGE OPENAI_DONE},
     "a",
     "m-2025",
     false,
     1000,
     200,
     400,
     0.00492},
    {"openai, content in parts",
     MODEL_OPENAI,
     {.body = "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\",\"text\":\"no\"},{\"type\":\"text\","
              "\"text\":\"yes\"}]}}]}\n\n" OPENAI_STOP("stop") OPENAI_USAGE OPENAI_DONE},
     "yes",
     "m",
     false,
     1000,
     200,
     400,
     0.00492},
    {"openai, connection stays open after the end mark",
     MODEL_OPENAI,
     {.body = OPENAI_HELLO, .hang = true},
     "Hello \u00e9",
     "m-2025",
     false,
     1000,
     200,
     400,
     0.00492},
    {"openai, not streamed",
     MODEL_OPENAI,
     {.head = JSON_HEAD,
      .body = "\n{\"model\":\"m-2025\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"whole\"},"
              "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":200}}"},
     "whole",
     "m-2025",
     false,
     1000,
     200,
     0,
     0.006},
    {"anthropic",
     MODEL_ANTHROPIC,
     {.body = ANTHROPIC_START ANTHROPIC_BLOCK("thinking", "thinking_delta", "thinking", "hmm")
          ANTHROPIC_BLOCK("text", "text_delta", "text", "Hello") ANTHROPIC_END("end_turn")},
     "Hello",
     "claude-x-20250929",
     false,
     1000,
     200,
     600,
     0.0003 + 0.001125 + 0.00018 + 0.003},
    {"anthropic, one byte at a time",
     MODEL_ANTHROPIC,
     {.body = ANTHROPIC_START ANTHROPIC_BLOCK("text", "text_delta", "text", "Hello") ANTHROPIC_END("max_tokens"),
      .piece = 1},
     "Hello",
     "claude-x-20250929",
     true,
     1000,
     200,
     600,
     0.0003 + 0.001125 + 0.00018 + 0.003},
    {"anthropic, not streamed",
     MODEL_ANTHROPIC,
     {.head = JSON_HEAD,
      .body = "{\"type\":\"message\",\"model\":\"claude-x\",\"content\":[{\"type\":\"text\",\"text\":\"whole\"}],"
              "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1000,\"output_tokens\":200}}"},
     "whole",
     "claude-x",
     false,
     1000,
     200,
     0,
     0.006},
};

static void test_answers_are_read_with_their_tokens_and_price(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct error err = {0};
        ANSWER answer = {0};
        __attribute__((cleanup(world_release))) struct world world;
        world_init(&world, answers[i].kind, &answers[i].step, 1, NULL, 0);
        int64_t began = clock_monotonic_ms();
        if (ask(&world, &answer, &err) < 0)
            fail_msg("%s: %s", answers[i].name, err.message);
        print_message("    %s\n", answers[i].name);
        assert_string_equal(answer.text, answers[i].text);
        assert_string_equal(answer.model, answers[i].model);
        assert_string_equal(answer.name, "first");
        assert_int_equal(answer.cut, answers[i].cut);
        assert_int_equal(world.call_count, 1);
        assert_string_equal(world.calls[0].error, "");
        assert_string_equal(world.calls[0].model, answers[i].model);
        assert_int_equal(world.calls[0].estimated, answers[i].in == 0);
        assert_near(models_spent(world.models), world.calls[0].cost);
        assert_true(clock_monotonic_ms() - began < 3000);
        if (answers[i].in == 0) {
            assert_true(world.calls[0].in >= 7 && world.calls[0].in < 20);
            assert_true(world.calls[0].out >= 1 && world.calls[0].out < 5);
            assert_true(world.calls[0].cost > 0);
            continue;
        }
        assert_int_equal(world.calls[0].in, answers[i].in);
        assert_int_equal(world.calls[0].out, answers[i].out);
        assert_int_equal(world.calls[0].cached, answers[i].cached);
        assert_near(world.calls[0].cost, answers[i].cost);
    }
}

static void test_a_price_for_cached_input_is_the_input_price_when_absent(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    world.configs[0].price.cached_input = 0;
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_near(world.calls[0].cost, 0.006);
}

/* ---- what cannot be mended ---- */

static const struct {
    const char *name;
    enum model_kind kind;
    struct step step;
    enum error_code code;
    bool retryable;
    const char *says; /* part of the message */
} failures[] = {
    {"wrong key",
     MODEL_OPENAI,
     {.head = HEAD("401 Unauthorized", ""),
      .body = "{\"error\":{\"message\":\"Incorrect API key provided: " KEY ".\",\"type\":\"invalid_request_error\"}}"},
     ERROR_DENIED,
     false,
     "HTTP 401, it does not accept the key: check api_key (Incorrect API key provided: [redacted].)"},
    {"key not allowed",
     MODEL_ANTHROPIC,
     {.head = HEAD("403 Forbidden", ""), .body = "{\"type\":\"error\",\"error\":{\"message\":\"no\"}}"},
     ERROR_DENIED,
     false,
     "HTTP 403"},
    {"unknown model, Ollama's words",
     MODEL_OPENAI,
     {.head = HEAD("404 Not Found", ""), .body = "{\"error\":\"model 'm' not found\"}"},
     ERROR_MODEL,
     false,
     "check model and base_url (model 'm' not found)"},
    {"bad request",
     MODEL_ANTHROPIC,
     {.head = HEAD("400 Bad Request", ""),
      .body = "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long\"}}"},
     ERROR_MODEL,
     false,
     "HTTP 400, it refused the request (prompt is too long)"},
    {"an error page with control characters",
     MODEL_OPENAI,
     {.head = HEAD("400 Bad Request", ""), .body = "<html>\r\n\x1b[31m  Bad\n\n\nproxy</html>"},
     ERROR_MODEL,
     false,
     "(<html> [31m Bad proxy</html>)"},
    {"a redirect elsewhere",
     MODEL_OPENAI,
     {.head = HEAD("307 Moved", "\r\nLocation: http://localhost:9/v1")},
     ERROR_DENIED,
     false,
     "redirect"},
    {"a refusal",
     MODEL_OPENAI,
     {.body = "data: {\"choices\":[{\"delta\":{\"refusal\":\"I cannot "
              "help\"},\"finish_reason\":\"stop\"}]}\n\n" OPENAI_DONE},
     ERROR_MODEL,
     false,
     "the model refused: I cannot help"},
    {"a content filter",
     MODEL_OPENAI,
     {.body = OPENAI_STOP("content_filter") OPENAI_DONE},
     ERROR_MODEL,
     false,
     "content filter"},
    {"a safety stop",
     MODEL_ANTHROPIC,
     {.body = ANTHROPIC_START ANTHROPIC_END("refusal")},
     ERROR_MODEL,
     false,
     "safety filter"},
    {"an empty answer",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT(" \\n") OPENAI_STOP("stop") OPENAI_DONE},
     ERROR_MODEL,
     true,
     "the answer is empty"},
    {"nothing but reasoning",
     MODEL_OPENAI,
     {.body =
          "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hmm\"}}]}\n\n" OPENAI_STOP("length") OPENAI_DONE},
     ERROR_MODEL,
     true,
     "raise max_tokens"},
    {"a huge answer",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("0123456789012345678901234567890123456789"), .repeat = 5000},
     ERROR_LIMIT,
     false,
     "the answer is larger than"},
    {"a huge line",
     MODEL_OPENAI,
     {.body = "data: 0123456789012345678901234567890123456789", .repeat = 50000},
     ERROR_LIMIT,
     false,
     "of the stream is larger than"},
    {"a huge whole answer",
     MODEL_OPENAI,
     {.head = JSON_HEAD, .body = "{\"a\":\"01234567890123456789012345678901234567890123456789", .repeat = 100000},
     ERROR_LIMIT,
     false,
     "the answer is larger than"},
    {"a permanent error in the stream",
     MODEL_ANTHROPIC,
     {.body = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"" KEY
              "\"}}\n\n"},
     ERROR_MODEL,
     false,
     "the server broke off: invalid_request_error: [redacted]"},
};

static void test_lasting_failures_end_after_one_request_and_tell_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        static const struct step never[] = {{.body = OPENAI_HELLO}};
        struct error err = {0};
        ANSWER answer = {0};
        __attribute__((cleanup(world_release))) struct world world;
        world_init(&world, failures[i].kind, &failures[i].step, 1, never, 1);
        print_message("    %s\n", failures[i].name);
        assert_int_equal(ask(&world, &answer, &err), -1);
        if (!strstr(err.message, failures[i].says))
            fail_msg("%s: \"%s\" is not in: %s", failures[i].name, failures[i].says, err.message);
        assert_non_null(strstr(err.message, "model first: "));
        assert_null(strstr(err.message, KEY));
        assert_int_equal(err.code, failures[i].code);
        assert_int_equal(err.retryable, failures[i].retryable);
        assert_int_equal(world.call_count, 1);
        assert_string_not_equal(world.calls[0].error, "");
        assert_int_equal(server_requests(&world.servers[1]), 0);
        assert_null(answer.text);
    }
}

/* ---- what passes ---- */

static const struct {
    const char *name;
    enum model_kind kind;
    struct step step;
    const char *says;
} troubles[] = {
    {"500", MODEL_OPENAI, {.head = HEAD("500 Oops", ""), .body = "{}"}, "HTTP 500"},
    {"502 from a proxy", MODEL_OPENAI, {.head = HEAD("502 Bad Gateway", ""), .body = "<html>"}, "HTTP 502"},
    {"503",
     MODEL_OPENAI,
     {.head = HEAD("503 Busy", ""), .body = "{\"error\":{\"message\":\"Loading model\"}}"},
     "Loading model"},
    {"529 overloaded",
     MODEL_ANTHROPIC,
     {.head = HEAD("529 ", ""), .body = "{\"type\":\"error\",\"error\":{\"message\":\"Overloaded\"}}"},
     "overloaded"},
    {"429", MODEL_OPENAI, {.head = HEAD("429 Slow", "\r\nRetry-After: 0"), .body = "{}"}, "rate limit"},
    {"an error event",
     MODEL_ANTHROPIC,
     {.body = ANTHROPIC_START
      "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":"
      "\"Overloaded\"}}\n\n"},
     "the server broke off: overloaded_error: Overloaded"},
    {"an error in the stream",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("a") "data: {\"error\":{\"message\":\"upstream\",\"code\":502}}\n\n"},
     "broke off: upstream"},
    {"an error field",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("a") "error: {\"code\":500,\"message\":\"slot\"}\n\n"},
     "slot"},
    {"an error in a whole answer",
     MODEL_OPENAI,
     {.head = JSON_HEAD, .body = "{\"error\":\"slot unavailable\"}"},
     "slot unavailable"},
    {"broken JSON in the stream",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("a") "data: {\"choices\":[\n\n"},
     "the stream is broken"},
    {"an unfinished stream", MODEL_OPENAI, {.body = OPENAI_TEXT("a")}, "ended before the answer was whole"},
    {"an empty body", MODEL_OPENAI, {.body = ""}, "an empty body"},
    {"a page in place of a stream", MODEL_OPENAI, {.body = "<html>login</html>"}, "<html>login</html>"},
    {"text in place of a stream", MODEL_OPENAI, {.body = "try again later"}, "try again later"},
    {"a closed connection", MODEL_OPENAI, {.drop = true}, "POST 127.0.0.1/v1/chat/completions"},
};

static void test_passing_trouble_is_tried_again_and_every_attempt_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        bool openai = troubles[i].kind == MODEL_OPENAI;
        struct step script[] = {troubles[i].step,
                                {.body = openai ? OPENAI_HELLO
                                                : ANTHROPIC_START ANTHROPIC_BLOCK("text", "text_delta", "text", "a")
                                                      ANTHROPIC_END("end_turn")}};
        struct error err = {0};
        ANSWER answer = {0};
        WORLD(world, troubles[i].kind, script);
        print_message("    %s\n", troubles[i].name);
        if (ask(&world, &answer, &err) < 0)
            fail_msg("%s", err.message);
        assert_int_equal(err.code, ERROR_NONE);
        assert_int_equal(world.call_count, 2);
        if (!strstr(world.calls[0].error, troubles[i].says))
            fail_msg("\"%s\" is not in: %s", troubles[i].says, world.calls[0].error);
        assert_string_equal(world.calls[1].error, "");
    }
}

static void test_a_broken_off_answer_is_counted(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_TEXT("abcdefghijklmn")}, {.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_true(world.calls[0].estimated);
    assert_true(world.calls[0].in > 0 && world.calls[0].out >= 4 && world.calls[0].cost > 0);
    assert_near(models_spent(world.models), world.calls[0].cost + world.calls[1].cost);
}

static void test_retry_after_is_waited_for(void **state)
{
    (void)state;
    static const struct step script[] = {{.head = HEAD("429 Slow down", "\r\nRetry-After: 1"), .body = "{}"},
                                         {.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    int64_t began = clock_monotonic_ms();
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_true(clock_monotonic_ms() - began >= 1000);
    assert_int_equal(world.calls[0].in, 0);
    assert_near(world.calls[0].cost, 0);
}

static void test_a_retry_after_past_the_deadline_goes_to_the_next_model_at_once(void **state)
{
    (void)state;
    static const struct step limited[] = {{.head = HEAD("429 Slow down", "\r\nRetry-After: 3600"), .body = "{}"}};
    static const struct step good[] = {{.body = OPENAI_HELLO}};
    WORLD_OF_TWO(world, MODEL_OPENAI, limited, good);
    ANSWER answer = {0};
    int64_t began = clock_monotonic_ms();
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_string_equal(answer.name, "second");
    assert_true(clock_monotonic_ms() - began < 1000);
}

static void test_an_account_without_credit_goes_to_the_next_model_at_once(void **state)
{
    (void)state;
    static const struct step limited[] = {
        {.head = HEAD("429 Slow down", ""),
         .body = "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"pay\"}}"}};
    static const struct step good[] = {{.body = OPENAI_HELLO}};
    WORLD_OF_TWO(world, MODEL_OPENAI, limited, good);
    ANSWER answer = {0};
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_string_equal(answer.name, "second");
    assert_int_equal(world.call_count, 2);
}

static void test_a_model_that_stays_down_gives_way_to_the_next(void **state)
{
    (void)state;
    static const struct step down[] = {{.head = HEAD("500 a", "")},
                                       {.head = HEAD("529 b", "")},
                                       {.head = HEAD("503 c", "")},
                                       {.head = HEAD("500 d", "")},
                                       {.body = OPENAI_HELLO}};
    static const struct step good[] = {{.body = OPENAI_HELLO}};
    WORLD_OF_TWO(world, MODEL_OPENAI, down, good);
    ANSWER answer = {0};
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_string_equal(answer.name, "second");
    assert_int_equal(world.call_count, 5);
    assert_string_equal(world.calls[3].name, "first");
    assert_string_equal(world.calls[4].name, "second");
}

static void test_a_route_without_an_answer_is_a_models_failure(void **state)
{
    (void)state;
    static const struct step down[] = {{.head = HEAD("402 Pay", "")}};
    WORLD_OF_TWO(world, MODEL_OPENAI, down, down);
    server_stop(&world.servers[1]); /* nobody listens there now */
    ANSWER answer = {0};
    struct error err = {0};
    assert_int_equal(ask(&world, &answer, &err), -1);
    world.servers[1].pid = 0;
    assert_int_equal(err.code, ERROR_MODEL);
    assert_true(err.retryable);
    assert_non_null(strstr(err.message, "model second: POST 127.0.0.1/v1/chat/completions"));
    assert_int_equal(world.call_count, 5);
}

static void test_a_silent_server_is_given_up_after_the_stall_time(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_TEXT("a"), .hang = true}, {.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    world.configs[0].stall_ms = 400;
    ANSWER answer = {0};
    int64_t began = clock_monotonic_ms();
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_true(clock_monotonic_ms() - began < 3000);
    assert_non_null(strstr(world.calls[0].error, "sent nothing for 0.4 s"));
    assert_true(world.calls[0].estimated && world.calls[0].cost > 0);
}

static void test_a_whole_answer_has_a_deadline(void **state)
{
    (void)state;
    static const struct step slow[] = {{.body = OPENAI_TEXT("a"), .piece = 1, .repeat = 1000000}};
    static const struct step good[] = {{.body = OPENAI_HELLO}};
    WORLD_OF_TWO(world, MODEL_OPENAI, slow, good);
    world.configs[0].timeout_ms = 700;
    ANSWER answer = {0};
    int64_t began = clock_monotonic_ms();
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_true(clock_monotonic_ms() - began < 3000);
    assert_string_equal(answer.name, "second");
    assert_int_equal(world.call_count, 2);
}

static void test_options_that_a_model_refuses_are_left_out_from_then_on(void **state)
{
    (void)state;
    static const struct step script[] = {
        {.head = HEAD("400 Bad", ""),
         .body =
             "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.\","
             "\"param\":\"max_tokens\"}}"},
        {.head = HEAD("400 Bad", ""), .body = "{\"error\":{\"message\":\"'temperature' does not support 0.25\"}}"},
        {.body = OPENAI_HELLO},
        {.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    for (int i = 0; i < 2; i++) {
        ANSWER answer = {0};
        assert_int_equal(ask(&world, &answer, NULL), 0);
    }
    assert_int_equal(server_requests(&world.servers[0]), 4);
    for (size_t n = 2; n < 4; n++) {
        json_auto_t *body = request_body(&world.servers[0], n, NULL);
        assert_null(json_object_get(body, "temperature"));
        assert_null(json_object_get(body, "max_tokens"));
        assert_int_equal(json_int_at(body, "max_completion_tokens", 0), 4096);
        assert_int_equal(json_int_at(body, "seed", 0), 7);
    }
}

/* ---- bounds ---- */

static void test_a_call_that_could_pass_the_bound_is_not_sent(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}, {.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    struct error err = {0};
    world_open(&world);
    models_set_budget(world.models, 2.0, 1.95); /* 4096 tokens out may cost $0.061 */
    for (int i = 0; i < 2; i++) {
        ANSWER answer = {0};
        int result = ask(&world, &answer, &err);
        assert_int_equal(result, i == 0 ? -1 : 0);
        assert_int_equal(server_requests(&world.servers[0]), i);
        if (i == 0) {
            assert_int_equal(err.code, ERROR_BUDGET);
            assert_non_null(strstr(err.message, "$1.9500 of the $2.00"));
        }
        models_set_budget(world.models, 2.0, 1.92);
    }
    assert_int_equal(world.call_count, 1);
}

static void test_the_bound_is_looked_at_before_each_retry(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_TEXT("a") OPENAI_USAGE}, {.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    struct error err = {0};
    ANSWER answer = {0};
    world_open(&world);
    models_set_budget(world.models, 0.064, 0);
    assert_int_equal(ask(&world, &answer, &err), -1);
    assert_int_equal(err.code, ERROR_BUDGET);
    assert_int_equal(server_requests(&world.servers[0]), 1);
}

static void test_a_free_model_is_asked_when_the_money_is_used_up(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    world.configs[0].price.input = world.configs[0].price.output = world.configs[0].price.cached_input = 0;
    world_open(&world);
    models_set_budget(world.models, 1.0, 1.5);
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_near(models_spent(world.models), 1.5);
}

static void test_a_prompt_larger_than_the_model_reads_goes_to_the_next(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    WORLD_OF_TWO(world, MODEL_OPENAI, script, script);
    ANSWER answer = {0};
    world.configs[0].context_tokens = 5;
    assert_int_equal(ask(&world, &answer, NULL), 0);
    assert_string_equal(answer.name, "second");
    assert_int_equal(server_requests(&world.servers[0]), 0);
}

static void cancel_during(const struct step *step, int64_t after_ms, size_t calls)
{
    struct error err = {0};
    ANSWER answer = {0};
    __attribute__((cleanup(world_release))) struct world world;
    world_init(&world, MODEL_OPENAI, step, 1, NULL, 0);
    world_open(&world);
    int64_t began = clock_monotonic_ms();
    world.cancel_at = began + after_ms;
    assert_int_equal(ask(&world, &answer, &err), -1);
    assert_true(clock_monotonic_ms() - began < after_ms + 1000);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_int_equal(world.call_count, calls);
}

static void test_cancelling_takes_effect_within_a_second(void **state)
{
    (void)state;
    cancel_during(&(struct step){.body = OPENAI_HELLO}, 0, 0);                     /* before it is sent */
    cancel_during(&(struct step){.pause_ms = 10000}, 300, 1);                      /* before an answer */
    cancel_during(&(struct step){.body = OPENAI_TEXT("a"), .hang = true}, 300, 1); /* in a silent stream */
    cancel_during(&(struct step){.body = OPENAI_TEXT("a"), .piece = 1, .repeat = 100000}, 300, 1); /* in a busy one */
    cancel_during(&(struct step){.head = HEAD("429 a", "\r\nRetry-After: 10")}, 300, 1);           /* in a pause */
}

/* ---- routes and configuration ---- */

static void test_escalation_begins_at_the_step_and_stays_at_the_last(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}, {.body = OPENAI_HELLO}};
    WORLD_OF_TWO(world, MODEL_OPENAI, script, script);
    world.configs[1].format = MODEL_JSON_SCHEMA;
    world_open(&world);
    for (size_t step = 1; step <= 5; step += 4) {
        ANSWER answer = {0};
        struct model_request request = a_request();
        request.step = step;
        assert_int_equal(models_ask(world.models, &request, &answer, NULL), 0);
        assert_string_equal(answer.name, "second");
        assert_int_equal(models_format(world.models, ROLE_IMPLEMENT, step), MODEL_JSON_SCHEMA);
    }
    assert_int_equal(models_format(world.models, ROLE_IMPLEMENT, 0), MODEL_FENCED);
    assert_int_equal(models_route_length(world.models, ROLE_IMPLEMENT), 2);
    assert_int_equal(models_route_length(world.models, ROLE_EMBED), 0);
}

static void test_a_role_without_a_route_is_a_configuration_error(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    struct error err = {0};
    struct model_request request = a_request();
    request.role = ROLE_REPAIR;
    world_open(&world);
    assert_int_equal(models_ask(world.models, &request, &answer, &err), -1);
    assert_int_equal(err.code, ERROR_CONFIG);
    assert_string_equal(err.message, "routes.repair names no model: add one");
}

static const struct {
    const char *base_url;
    enum model_kind kind;
    const char *path;
} addresses[] = {
    {"/v1", MODEL_OPENAI, "POST /v1/chat/completions "},
    {"/v1/", MODEL_OPENAI, "POST /v1/chat/completions "},
    {"/v1/chat/completions", MODEL_OPENAI, "POST /v1/chat/completions "},
    {"", MODEL_OPENAI, "POST /chat/completions "},
    {"/api/v1//", MODEL_OPENAI, "POST /api/v1/chat/completions "},
    {"", MODEL_ANTHROPIC, "POST /v1/messages "},
    {"/v1", MODEL_ANTHROPIC, "POST /v1/messages "},
    {"/anthropic/", MODEL_ANTHROPIC, "POST /anthropic/v1/messages "},
};

static void test_addresses_are_taken_with_and_without_what_the_api_adds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        static const struct step script[] = {{.head = HEAD("401 No", "")}};
        WORLD(world, addresses[i].kind, script);
        ANSWER answer = {0};
        AUTO_FREE char *url = text_format("%s%s", world.servers[0].root, addresses[i].base_url);
        world.configs[0].base_url = url;
        ask(&world, &answer, NULL);
        AUTO_FREE char *request = server_request(&world.servers[0], 0);
        if (!request || strncmp(request, addresses[i].path, strlen(addresses[i].path)) != 0)
            fail_msg("%s asked %.60s", addresses[i].base_url, request ? request : "nothing");
    }
}

static const struct {
    const char *name, *base_url, *api_key, *value, *route, *says;
} mistakes[] = {
    {"an unknown model on a route", NULL, NULL, NULL, "opus", "routes.tests names the model \"opus\""},
    {"a key that is missing", NULL, "env:ASSAY_TEST_MISSING", NULL, NULL, "env:ASSAY_TEST_MISSING"},
    {"a key written out", NULL, "sk-0123456789", NULL, NULL, "env:NAME"},
    {"a key with a line end inside", NULL, "env:ASSAY_TEST_ODD", "abc\r\nX: y", NULL, "cannot be a key"},
    {"an address without a scheme", "localhost:11434/v1", NULL, NULL, NULL, "base_url has to be an address"},
    {"an address with a password", "http://user:pass@host/v1", NULL, NULL, NULL, "base_url has to be an address"},
    {"an address without a host", "http:///v1", NULL, NULL, NULL, "base_url has to be an address"},
};

static void test_mistakes_in_the_configuration_are_told_at_the_start(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct error err = {0};
        char *route[] = {(char *)(mistakes[i].route ? mistakes[i].route : "a")};
        struct model_config config = {.name = "a",
                                      .model = "m",
                                      .base_url = (char *)mistakes[i].base_url,
                                      .api_key = (char *)mistakes[i].api_key};
        struct model_routes routes = {.roles = {[ROLE_TESTS] = {route, 1}}};
        if (mistakes[i].value)
            setenv("ASSAY_TEST_ODD", mistakes[i].value, 1);
        assert_null(models_new(&config, 1, &routes, NULL, NULL, &err));
        if (err.code != ERROR_CONFIG || !strstr(err.message, mistakes[i].says))
            fail_msg("%s: %s", mistakes[i].name, err.message);
    }
}

static void test_two_models_of_one_name_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct model_config configs[] = {{.name = "a", .model = "m"}, {.name = "a", .model = "n"}};
    struct model_routes routes = {0};
    assert_null(models_new(configs, 2, &routes, NULL, NULL, &err));
    assert_string_equal(err.message, "two models are named \"a\": rename one");
}

static void test_the_configuration_is_read_by_its_tables(void **state)
{
    (void)state;
    static const char text[] =
        "models:\n"
        "  - {name: s, kind: anthropic, model: c, api_key: env:K, price: {input: 3.00, output: 15},\n"
        "     format: json_schema, max_tokens: 8000, context_tokens: 200000, timeout: 5m, stall: 30s}\n"
        "  - {name: l, kind: openai, base_url: http://127.0.0.1:11434/v1, model: q}\n"
        "routes: {tests: [s], implement: [l], repair: [l, s], embed: []}\n";
    struct both {
        struct yaml_objects models;
        struct model_routes routes;
    } both = {0};
    const struct yaml_field fields[] = {
        {.key = "models",
         .type = YAML_OBJECTS,
         .offset = offsetof(struct both, models),
         .fields = model_config_fields,
         .size = sizeof(struct model_config),
         .line = offsetof(struct model_config, line) + 1},
        {.key = "routes", .type = YAML_OBJECT, .offset = offsetof(struct both, routes), .fields = model_routes_fields},
        {0},
    };
    struct error err = {0};
    if (yaml_read(text, strlen(text), "assay.yml", fields, &both, &err) < 0)
        fail_msg("%s", err.message);
    const struct model_config *config = both.models.items;
    assert_int_equal(both.models.count, 2);
    assert_int_equal(config[0].kind, MODEL_ANTHROPIC);
    assert_int_equal(config[0].format, MODEL_JSON_SCHEMA);
    assert_near(config[0].price.output, 15);
    assert_int_equal(config[0].timeout_ms, 300000);
    assert_int_equal(config[0].stall_ms, 30000);
    assert_int_equal(config[1].line, 4);
    assert_string_equal(both.routes.roles[ROLE_REPAIR].items[1], "s");
    assert_string_equal(model_role_name(ROLE_REPAIR), "repair");
    yaml_release(fields, &both);
    for (const struct yaml_field *field = model_config_fields; field->key; field++)
        assert_true(field->help && strlen(field->help) > 10);
}

static void test_the_doctor_names_model_and_time(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}, {.head = HEAD("401 No", "")}};
    WORLD(world, MODEL_OPENAI, script);
    struct error err = {0};
    AUTO_BUF struct buf line = BUF_INIT(KiB(1));
    world_open(&world);
    models_set_hooks(world.models, NULL, NULL, NULL);
    assert_int_equal(models_doctor(world.models, 0, &line, &err), 0);
    assert_non_null(strstr(buf_text(&line), "first: m-2025 answers in 0."));
    assert_int_equal(models_doctor(world.models, 0, &line, &err), -1);
    assert_non_null(strstr(err.message, "check api_key"));
}

static void test_tokens_are_estimated_upwards(void **state)
{
    (void)state;
    assert_int_equal(model_estimate_tokens(""), 0);
    assert_int_equal(model_estimate_tokens("a"), 1);
    assert_int_equal(model_estimate_tokens("1234567"), 2);
    assert_int_equal(model_estimate_tokens("12345678"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai_gets_a_streamed_chat_completion_request),
        cmocka_unit_test(test_anthropic_gets_a_message_with_a_cached_system_prompt),
        cmocka_unit_test(test_no_key_no_seed_and_no_system_prompt_are_not_sent),
        cmocka_unit_test(test_openai_holds_an_answer_to_a_schema_in_the_schemas_order),
        cmocka_unit_test(test_anthropic_holds_an_answer_to_a_schema_by_a_forced_tool),
        cmocka_unit_test(test_a_schema_is_not_sent_to_a_model_that_answers_in_fences),
        cmocka_unit_test(test_answers_are_read_with_their_tokens_and_price),
        cmocka_unit_test(test_a_price_for_cached_input_is_the_input_price_when_absent),
        cmocka_unit_test(test_lasting_failures_end_after_one_request_and_tell_why),
        cmocka_unit_test(test_passing_trouble_is_tried_again_and_every_attempt_reported),
        cmocka_unit_test(test_a_broken_off_answer_is_counted),
        cmocka_unit_test(test_retry_after_is_waited_for),
        cmocka_unit_test(test_a_retry_after_past_the_deadline_goes_to_the_next_model_at_once),
        cmocka_unit_test(test_an_account_without_credit_goes_to_the_next_model_at_once),
        cmocka_unit_test(test_a_model_that_stays_down_gives_way_to_the_next),
        cmocka_unit_test(test_a_route_without_an_answer_is_a_models_failure),
        cmocka_unit_test(test_a_silent_server_is_given_up_after_the_stall_time),
        cmocka_unit_test(test_a_whole_answer_has_a_deadline),
        cmocka_unit_test(test_options_that_a_model_refuses_are_left_out_from_then_on),
        cmocka_unit_test(test_a_call_that_could_pass_the_bound_is_not_sent),
        cmocka_unit_test(test_the_bound_is_looked_at_before_each_retry),
        cmocka_unit_test(test_a_free_model_is_asked_when_the_money_is_used_up),
        cmocka_unit_test(test_a_prompt_larger_than_the_model_reads_goes_to_the_next),
        cmocka_unit_test(test_cancelling_takes_effect_within_a_second),
        cmocka_unit_test(test_escalation_begins_at_the_step_and_stays_at_the_last),
        cmocka_unit_test(test_a_role_without_a_route_is_a_configuration_error),
        cmocka_unit_test(test_addresses_are_taken_with_and_without_what_the_api_adds),
        cmocka_unit_test(test_mistakes_in_the_configuration_are_told_at_the_start),
        cmocka_unit_test(test_two_models_of_one_name_are_refused),
        cmocka_unit_test(test_the_configuration_is_read_by_its_tables),
        cmocka_unit_test(test_the_doctor_names_model_and_time),
        cmocka_unit_test(test_tokens_are_estimated_upwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
