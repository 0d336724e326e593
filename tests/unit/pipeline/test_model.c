/* Models against real servers on loopback: what is sent, what is read, what it costs. */
#include "tests/unit/pipeline/model_world.h"

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

static void test_a_worked_example_is_told_as_an_earlier_turn(void **state)
{
    (void)state;
    static const char anthropic[] =
        ANTHROPIC_START ANTHROPIC_BLOCK("text", "text_delta", "text", "Hi") ANTHROPIC_END("end_turn");
    for (int i = 0; i < 2; i++) {
        const struct step script[] = {{.body = i ? anthropic : OPENAI_HELLO}};
        WORLD(world, i ? MODEL_ANTHROPIC : MODEL_OPENAI, script);
        ANSWER answer = {0};
        struct model_request request = a_request();
        request.system = NULL;
        request.worked = (struct model_exchange){"Write \"g\".", "def g(): pass"};
        world_open(&world);
        assert_int_equal(models_ask(world.models, &request, &answer, NULL), 0);
        json_auto_t *body = request_body(&world.servers[0], 0, NULL);
        assert_json(json_object_get(body, "messages"),
                    "[{\"role\":\"user\",\"content\":\"Write \\\"g\\\".\"},{\"role\":\"assistant\",\"content\":"
                    "\"def g(): pass\"},{\"role\":\"user\",\"content\":\"Write \\\"f\\\".\\n\"}]");
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai_gets_a_streamed_chat_completion_request),
        cmocka_unit_test(test_anthropic_gets_a_message_with_a_cached_system_prompt),
        cmocka_unit_test(test_a_worked_example_is_told_as_an_earlier_turn),
        cmocka_unit_test(test_no_key_no_seed_and_no_system_prompt_are_not_sent),
        cmocka_unit_test(test_openai_holds_an_answer_to_a_schema_in_the_schemas_order),
        cmocka_unit_test(test_anthropic_holds_an_answer_to_a_schema_by_a_forced_tool),
        cmocka_unit_test(test_a_schema_is_not_sent_to_a_model_that_answers_in_fences),
        cmocka_unit_test(test_answers_are_read_with_their_tokens_and_price),
        cmocka_unit_test(test_a_price_for_cached_input_is_the_input_price_when_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
