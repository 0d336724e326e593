/* Models in trouble: what lasting and passing failures of real servers on loopback lead to. */
#include "pipeline/model_circle.h"
#include "tests/unit/pipeline/model_world.h"

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
      .body = "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages: a role is "
              "missing\"}}"},
     ERROR_MODEL,
     false,
     "HTTP 400, it refused the request (messages: a role is missing)"},
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
    {"nothing but reasoning",
     MODEL_OPENAI,
     {.body =
          "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"hmm\"}}]}\n\n" OPENAI_STOP("length") OPENAI_DONE},
     ERROR_MODEL,
     true,
     "raise max_tokens"},
    {"a huge answer",
     MODEL_OPENAI,
     {.body = OPENAI_TEXT("----------------------------------------"), .repeat = 5000},
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

static const struct step empty_answer = {.body = OPENAI_TEXT(" \\n") OPENAI_STOP("stop") OPENAI_DONE};

static void test_an_empty_answer_is_asked_for_again_at_once(void **state)
{
    (void)state;
    const struct step script[] = {empty_answer, {.body = OPENAI_HELLO}};
    struct error err = {0};
    ANSWER answer = {0};
    WORLD(world, MODEL_OPENAI, script);
    if (ask(&world, &answer, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(err.code, ERROR_NONE);
    assert_int_equal(world.call_count, 2);
    assert_non_null(strstr(world.calls[0].error, "the answer is empty"));
    assert_string_equal(world.calls[1].error, "");
    assert_near(models_spent(world.models), world.calls[0].cost + world.calls[1].cost);
}

/* Another model is not asked: an empty answer is an answer, and the caller may ask in other words. */
static void test_a_second_empty_answer_is_told(void **state)
{
    (void)state;
    const struct step script[] = {empty_answer, empty_answer, {.body = OPENAI_HELLO}};
    static const struct step never[] = {{.body = OPENAI_HELLO}};
    struct error err = {0};
    ANSWER answer = {0};
    WORLD_OF_TWO(world, MODEL_OPENAI, script, never);
    assert_int_equal(ask(&world, &answer, &err), -1);
    assert_non_null(strstr(err.message, "model first: the answer is empty"));
    assert_int_equal(err.code, ERROR_MODEL);
    assert_true(err.retryable);
    assert_int_equal(world.call_count, 2);
    assert_int_equal(server_requests(&world.servers[1]), 0);
    assert_null(answer.text);
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

/* As OpenAI, llama.cpp and Anthropic say it. */
static void test_a_prompt_that_is_too_long_goes_to_the_next_model_at_once(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"no\"}}",
        "{\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\",\"message\":\"no\"}}",
        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 9 > "
        "8\"}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        const struct step refuses[] = {{.head = HEAD("400 Bad Request", ""), .body = bodies[i]}};
        static const struct step good[] = {{.body = OPENAI_HELLO}};
        WORLD_OF_TWO(world, MODEL_OPENAI, refuses, good);
        ANSWER answer = {0};
        assert_int_equal(ask(&world, &answer, NULL), 0);
        assert_string_equal(answer.name, "second");
        assert_non_null(strstr(world.calls[0].error, "say how much that is, as its context_tokens"));
    }
}

static void test_a_prompt_that_is_too_long_for_all_is_not_worth_another_try(void **state)
{
    (void)state;
    static const struct step refuses[] = {{.head = HEAD("413 Too Large", ""), .body = "{}"}};
    WORLD(world, MODEL_OPENAI, refuses);
    ANSWER answer = {0};
    struct error err = {0};
    assert_int_equal(ask(&world, &answer, &err), -1);
    assert_int_equal(err.code, ERROR_LIMIT);
    assert_false(err.retryable);
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

static void test_an_answer_that_turns_in_circles_is_cut(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_TEXT("and again "), .repeat = 100000}};
    WORLD(world, MODEL_OPENAI, script);
    ANSWER answer = {0};
    struct error err = {0};
    if (ask(&world, &answer, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(answer.cut);
    assert_true(strlen(answer.text) < 4096);
    assert_int_equal(world.call_count, 1);
}

static void test_a_circle_is_told_from_a_long_list(void **state)
{
    (void)state;
    AUTO_BUF struct buf numbers = BUF_INIT(KiB(64)), rule = BUF_INIT(KiB(64)), circle = BUF_INIT(KiB(64));
    for (int i = 0; i < 300; i++) {
        buf_printf(&numbers, "    %d,\n", i);
        buf_puts(&rule, "-----");
        buf_puts(&circle, "def test_again():\n    assert f(1) == 1\n\n");
    }
    assert_false(model_turns_in_circles(buf_text(&numbers), numbers.len));
    assert_false(model_turns_in_circles(buf_text(&rule), rule.len));
    assert_true(model_turns_in_circles(buf_text(&circle), circle.len));
    assert_false(model_turns_in_circles(buf_text(&circle), 3 * strlen("def test_again():\n    assert f(1) == 1\n\n")));
    assert_false(model_turns_in_circles("", 0));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lasting_failures_end_after_one_request_and_tell_why),
        cmocka_unit_test(test_passing_trouble_is_tried_again_and_every_attempt_reported),
        cmocka_unit_test(test_an_empty_answer_is_asked_for_again_at_once),
        cmocka_unit_test(test_a_second_empty_answer_is_told),
        cmocka_unit_test(test_a_broken_off_answer_is_counted),
        cmocka_unit_test(test_retry_after_is_waited_for),
        cmocka_unit_test(test_a_retry_after_past_the_deadline_goes_to_the_next_model_at_once),
        cmocka_unit_test(test_an_account_without_credit_goes_to_the_next_model_at_once),
        cmocka_unit_test(test_a_prompt_that_is_too_long_goes_to_the_next_model_at_once),
        cmocka_unit_test(test_a_prompt_that_is_too_long_for_all_is_not_worth_another_try),
        cmocka_unit_test(test_a_model_that_stays_down_gives_way_to_the_next),
        cmocka_unit_test(test_a_route_without_an_answer_is_a_models_failure),
        cmocka_unit_test(test_a_silent_server_is_given_up_after_the_stall_time),
        cmocka_unit_test(test_an_answer_that_turns_in_circles_is_cut),
        cmocka_unit_test(test_a_circle_is_told_from_a_long_list),
        cmocka_unit_test(test_a_whole_answer_has_a_deadline),
        cmocka_unit_test(test_options_that_a_model_refuses_are_left_out_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
