/* Models within bounds: money, size, cancelling; and how they are configured. */
#include "tests/unit/pipeline/model_world.h"

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

static void test_a_prompt_holds_no_more_of_the_repository_than_each_model_can_read(void **state)
{
    (void)state;
    static const struct step script[] = {{.body = OPENAI_HELLO}};
    static const struct {
        int64_t first, second, most;
    } rows[] = {{0, 0, 12000}, {8000, 0, 4800}, {0, 8000, 4800}, {8000, 1000, 600}, {200000, 0, 12000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        WORLD_OF_TWO(world, MODEL_OPENAI, script, script);
        world.configs[0].context_tokens = rows[i].first;
        world.configs[1].context_tokens = rows[i].second;
        world_open(&world);
        assert_int_equal(models_context_tokens(world.models, 12000), rows[i].most);
    }
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
        cmocka_unit_test(test_a_call_that_could_pass_the_bound_is_not_sent),
        cmocka_unit_test(test_the_bound_is_looked_at_before_each_retry),
        cmocka_unit_test(test_a_free_model_is_asked_when_the_money_is_used_up),
        cmocka_unit_test(test_a_prompt_larger_than_the_model_reads_goes_to_the_next),
        cmocka_unit_test(test_a_prompt_holds_no_more_of_the_repository_than_each_model_can_read),
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
