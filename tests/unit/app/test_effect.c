/* Each effect once: what the journal of effects says, and what is asked of a scripted forge because of it. */
#include "tests/unit/forge/script_server.h"

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/effect.h"
#include "app/effect_view.h"
#include "store_fixture.h"

#define OCTO   "/repos/octo/shop"
#define MARKER "<!-- assay:reply:500 -->"
#define BODY   "Hello\n\n" MARKER
#define WHO_WE_ARE                                                                                                     \
    {                                                                                                                  \
        "GET /user", NULL, NULL, 200, NULL, "{\"login\": \"assay-user\", \"id\": 1}"                                   \
    }
#define COMMENTS(list)                                                                                                 \
    {                                                                                                                  \
        "GET " OCTO "/issues/7/comments?per_page=100", NULL, NULL, 200, NULL, list                                     \
    }
#define OURS "[{\"id\": 900, \"user\": {\"login\": \"assay-user\"}, \"body\": \"Hello\\n\\n" MARKER "\"}]"
#define SAYS(status)                                                                                                   \
    {                                                                                                                  \
        "POST " OCTO "/issues/7/comments", NULL, "*", status, NULL, "{\"id\": 900}"                                    \
    }
#define EDITS                                                                                                          \
    {                                                                                                                  \
        "PATCH " OCTO "/issues/comments/900", NULL, "*", 200, NULL, "{\"id\": 900}"                                    \
    }
#define EYES(status)                                                                                                   \
    {                                                                                                                  \
        "POST " OCTO "/issues/7/reactions", NULL, "{\"content\": \"eyes\"}", status, NULL, "{\"id\": 1}"               \
    }
#define PULL(state)                                                                                                    \
    "{\"number\": 9, \"state\": \"" state                                                                              \
    "\", \"html_url\": \"u\", \"head\": {\"ref\": \"assay/7\", \"sha\": \"abc\","                                      \
    " \"repo\": {\"full_name\": \"octo/shop\"}}, \"base\": {\"ref\": \"main\", \"repo\": {\"full_name\": "             \
    "\"octo/shop\"}}}"

static const struct forge_repo repo = {.owner = "octo", .name = "shop"};

struct world {
    struct fixture *fixture;
    struct script_forge server;
    struct effects effects;
};

static void world_open(struct world *world, void **state, const struct exchange *script, size_t count)
{
    world->fixture = *state;
    script_forge_open(&world->server, script, count);
    world->effects = (struct effects){.store = world->fixture->store,
                                      .forge = world->server.forge,
                                      .forge_name = "github",
                                      .repo = &repo,
                                      .log = &world->server.log,
                                      .delivery = "d-1"};
}

#define WORLD(name, script)                                                                                            \
    struct world name = {0};                                                                                           \
    world_open(&name, state, script, sizeof(script) / sizeof((script)[0]))

static void world_close(struct world *world)
{
    script_forge_close(&world->server);
}

#define WHICH(kind_of_it, key_of_it)                                                                                   \
    (struct effect_row)                                                                                                \
    {                                                                                                                  \
        .forge = "github", .owner = "octo", .repo = "shop", .kind = (kind_of_it), .key = (key_of_it),                  \
        .delivery = "d-1", .token = 1                                                                                  \
    }
#define COMMENT_ROW  WHICH("comment", "#7 " MARKER)
#define REACTION_ROW WHICH("reaction", "issue 7 eyes")

static void intend(struct store *store, const struct effect_row *row)
{
    struct effect_row before = {0};
    struct error err = {0};
    NEEDS(store_effect_begin(store, row, &before, &err), &err);
    effect_row_release(&before);
}

static void assert_state(struct world *world, const struct effect_row *wanted, const char *state, const char *id)
{
    struct effect_row row = {0};
    struct error err = {0};
    bool found = false;
    NEEDS(store_effect_find(world->fixture->store, wanted, &row, &found, &err), &err);
    assert_true(found);
    assert_string_equal(row.state, state);
    assert_string_equal(row.external_id, id);
    effect_row_release(&row);
}

static int say(struct world *world, struct error *err)
{
    int64_t id = 0;
    int status = effect_comment(&world->effects, 7, MARKER, BODY, &id, err);
    if (status == 0)
        assert_int_equal(id, 900);
    return status;
}

static void what_is_done_is_known_without_looking(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, COMMENTS("[]"), SAYS(201), EDITS};
    WORLD(world, script);
    struct error err = {0};
    NEEDS(say(&world, &err), &err);
    assert_state(&world, &COMMENT_ROW, "done", "900");
    NEEDS(say(&world, &err), &err);
    world_close(&world);
}

static void what_was_intended_is_looked_for_and_not_made_again(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, COMMENTS(OURS), EDITS};
    WORLD(world, script);
    struct error err = {0};
    intend(world.fixture->store, &COMMENT_ROW);
    NEEDS(say(&world, &err), &err);
    assert_state(&world, &COMMENT_ROW, "done", "900");
    world_close(&world);
}

static void an_answer_that_never_came_leaves_it_unknown(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, COMMENTS("[]"), SAYS(0), COMMENTS("[]"),
                                      SAYS(502),  COMMENTS(OURS), EDITS};
    WORLD(world, script);
    struct error err = {0};
    assert_int_equal(say(&world, &err), -1);
    assert_true(err.retryable);
    assert_state(&world, &COMMENT_ROW, "unknown", "");
    NEEDS(say(&world, &err), &err);
    assert_state(&world, &COMMENT_ROW, "done", "900");
    world_close(&world);
}

static void what_the_forge_refuses_is_noted_with_its_reason(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, COMMENTS("[]"), SAYS(422)};
    WORLD(world, script);
    struct error err = {0};
    assert_int_equal(say(&world, &err), -1);
    assert_state(&world, &COMMENT_ROW, "refused", "");
    world_close(&world);
}

static void a_reaction_is_given_once(void **state)
{
    const struct exchange script[] = {EYES(201)};
    WORLD(world, script);
    struct error err = {0};
    for (int i = 0; i < 3; i++)
        NEEDS(effect_react(&world.effects, FORGE_ISSUE, 7, "eyes", &err), &err);
    assert_state(&world, &REACTION_ROW, "done", "");
    world_close(&world);
}

static void whoever_begins_later_takes_it_over(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct error err = {0};
    struct effect_row slept = WHICH("comment", "k");
    struct effect_row other = WHICH("comment", "k");
    other.token = 2;
    intend(store, &slept);
    NEEDS(store_effect_holds(store, &slept, &err), &err);
    intend(store, &other);
    assert_int_equal(store_effect_holds(store, &slept, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    NEEDS(store_effect_holds(store, &other, &err), &err);
    slept.state = other.state = "done";
    other.external_id = "5";
    assert_int_equal(store_effect_end(store, &slept, &err), -1);
    NEEDS(store_effect_end(store, &other, &err), &err);
}

/* The other process begins the same between our intention and our request: the forge's question is where it stands. */
static void a_process_that_slept_does_not_write(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    int64_t job = add_job(fixture->store, "shop", "k");
    struct store *late = open_or_fail(fixture->url);
    const struct exchange script[] = {WHO_WE_ARE, COMMENTS("[]")};
    WORLD(world, script);
    assert_int_equal(claim_at(fixture->store, "w1", 1000, 1), job);
    NEEDS(store_fence(late, job, 1, &err), &err);
    struct effect_row row = WHICH("comment", "#7 " MARKER);
    row.job = job;
    intend(late, &row);
    size_t count = 0;
    NEEDS(store_jobs_recover(fixture->store, 5000, &count, &err), &err);
    assert_int_equal(claim_at(fixture->store, "w2", 5000, 1), job);
    assert_int_equal(store_effect_holds(late, &row, &err), -1); /* what is asked right before each request */
    world.effects.store = late;
    world.effects.job = job;
    assert_int_equal(say(&world, &err), -1); /* nor can it begin another */
    assert_int_equal(err.code, ERROR_CONFLICT);
    world.effects.store = fixture->store;
    world.effects.forge = world.server.forge;
    int64_t id = 0;
    NEEDS(forge_comment_find(world.server.forge, &repo, 7, MARKER, &id, &err), &err);
    assert_int_equal(id, 0);
    store_close(late);
    world_close(&world);
}

static int keep_back(void *context, struct error *err)
{
    (*(int *)context)++;
    return error_set(err, ERROR_CONFLICT, "kept back");
}

static void a_write_is_kept_back_right_before_it_leaves(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, COMMENTS("[]")};
    WORLD(world, script);
    struct error err = {0};
    int asked = 0;
    int64_t id = 0;
    forge_on_write(world.server.forge, keep_back, &asked);
    assert_int_equal(forge_comment_put(world.server.forge, &repo, 7, MARKER, BODY, &id, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    assert_int_equal(asked, 1); /* the questions are not asked for */
    world_close(&world);
}

static void a_dry_run_keeps_what_it_would_have_sent(void **state)
{
    const struct exchange script[] = {{0}};
    struct world world = {.server.config.dry_run = true};
    world_open(&world, state, script, 0);
    struct error err = {0};
    struct effect_row *rows = NULL;
    size_t count = 0;
    world.effects.job = add_job(world.fixture->store, "shop", "k");
    NEEDS(effect_react(&world.effects, FORGE_ISSUE, 7, "eyes", &err), &err);
    NEEDS(effect_label(&world.effects, 7, "assay:needs-human", true, 1, &err), &err);
    NEEDS(store_effects(world.fixture->store, world.effects.job, &rows, &count, &err), &err);
    json_auto_t *view = effect_view_json(rows, count);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(rows[i].state, "dry");
    json_t *reaction = json_array_get(view, strcmp(rows[0].kind, "reaction") == 0 ? 0 : 1);
    json_t *sent = json_array_get(json_object_get(reaction, "would_send"), 0);
    assert_string_equal(json_text_at(sent, "method", ""), "POST");
    assert_string_equal(json_text_at(sent, "path", ""), OCTO "/issues/7/reactions");
    assert_string_equal(json_text_at(sent, "body.content", ""), "eyes");
    effect_rows_free(rows, count);
    world_close(&world);
}

static void a_pull_request_that_a_person_closed_stays_closed(void **state)
{
    const struct exchange script[] = {
        {"GET " OCTO "/pulls?state=open&head=octo:assay%2F7&per_page=100&page=1", NULL, NULL, 200, NULL, "[]"},
        {"POST " OCTO "/pulls", NULL, "*", 201, NULL, PULL("open")},
        {"GET " OCTO "/pulls/9", NULL, NULL, 200, NULL, PULL("closed")},
    };
    WORLD(world, script);
    struct error err = {0};
    struct forge_pull_request request = {.branch = "assay/7", .base = "main", .title = "t", .body = "b"};
    for (int i = 0; i < 2; i++) {
        struct forge_pull pull = {0};
        NEEDS(effect_pull(&world.effects, &request, "abc", 1000, &pull, &err), &err);
        assert_int_equal(pull.number, 9);
        assert_int_equal(pull.open, i == 0);
        forge_pull_release(&pull);
    }
    world_close(&world);
}

static void a_pull_request_in_doubt_is_found_even_when_it_was_closed(void **state)
{
    const struct exchange script[] = {
        {"GET " OCTO "/pulls?state=all&head=octo:assay%2F7&per_page=100&page=1", NULL, NULL, 200, NULL,
         "[" PULL("closed") "]"},
        {"GET " OCTO "/pulls/9", NULL, NULL, 200, NULL, PULL("closed")},
    };
    WORLD(world, script);
    struct error err = {0};
    struct forge_pull pull = {0};
    struct forge_pull_request request = {.branch = "assay/7", .base = "main", .title = "t", .body = "b"};
    intend(world.fixture->store, &WHICH("pull", "assay/7 abc, run 1000"));
    NEEDS(effect_pull(&world.effects, &request, "abc", 1000, &pull, &err), &err);
    assert_int_equal(pull.number, 9);
    forge_pull_release(&pull);
    world_close(&world);
}

static int count_push(void *context, struct error *err)
{
    (void)err;
    (*(int *)context)++;
    return 0;
}

static void a_branch_is_pushed_until_its_pull_request_is_open(void **state)
{
    const struct exchange script[] = {{0}};
    struct world world = {0};
    world_open(&world, state, script, 0);
    struct error err = {0};
    int pushes = 0;
    for (int i = 0; i < 2; i++)
        NEEDS(effect_branch(&world.effects, "assay/7", "abc", 1000, count_push, &pushes, &err), &err);
    assert_int_equal(pushes, 2); /* the push itself finds what is there */
    struct effect_row opened = WHICH("pull", "assay/7 abc, run 1000");
    intend(world.fixture->store, &opened);
    opened.state = "done";
    NEEDS(store_effect_end(world.fixture->store, &opened, &err), &err);
    NEEDS(effect_branch(&world.effects, "assay/7", "abc", 1000, count_push, &pushes, &err), &err);
    assert_int_equal(pushes, 2);
    NEEDS(effect_branch(&world.effects, "assay/7", "abc", 2000, count_push, &pushes, &err), &err);
    assert_int_equal(pushes, 3); /* another run of the job */
    world_close(&world);
}

static void another_deliverys_effect_is_known_as_such(void **state)
{
    const struct exchange script[] = {EYES(201)};
    WORLD(world, script);
    struct error err = {0};
    bool anothers = true;
    AUTO_FREE char *key = effect_reaction_key(FORGE_ISSUE, 7, "eyes");
    NEEDS(effect_is_anothers(&world.effects, EFFECT_REACTION, key, &anothers, &err), &err);
    assert_false(anothers);
    NEEDS(effect_react(&world.effects, FORGE_ISSUE, 7, "eyes", &err), &err);
    NEEDS(effect_is_anothers(&world.effects, EFFECT_REACTION, key, &anothers, &err), &err);
    assert_false(anothers);
    world.effects.delivery = "d-2";
    NEEDS(effect_is_anothers(&world.effects, EFFECT_REACTION, key, &anothers, &err), &err);
    assert_true(anothers);
    world_close(&world);
}

/* docs/reliability.md shows the table of kinds to people. */
static void the_documentation_names_every_kind_with_how_it_is_found(void **state)
{
    (void)state;
    AUTO_BUF struct buf text = BUF_INIT(MiB(1));
    struct error err = {0};
    const char *mark;
    const char *found;
    NEEDS(fs_read("docs/reliability.md", &text, &err), &err);
    for (size_t i = 0; effect_kind_name(i, &mark, &found); i++) {
        AUTO_FREE char *line = text_format("| %s | %s | %s |", effect_kind_name(i, &mark, &found), mark, found);
        if (!strstr(buf_text(&text), line))
            fail_msg("docs/reliability.md lacks: %s", line);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_done_is_known_without_looking),
        TEST(what_was_intended_is_looked_for_and_not_made_again),
        TEST(an_answer_that_never_came_leaves_it_unknown),
        TEST(what_the_forge_refuses_is_noted_with_its_reason),
        TEST(a_reaction_is_given_once),
        TEST(whoever_begins_later_takes_it_over),
        TEST(a_process_that_slept_does_not_write),
        TEST(a_write_is_kept_back_right_before_it_leaves),
        TEST(a_dry_run_keeps_what_it_would_have_sent),
        TEST(a_pull_request_that_a_person_closed_stays_closed),
        TEST(a_pull_request_in_doubt_is_found_even_when_it_was_closed),
        TEST(a_branch_is_pushed_until_its_pull_request_is_open),
        TEST(another_deliverys_effect_is_known_as_such),
        TEST(the_documentation_names_every_kind_with_how_it_is_found),
    };
    return RUN_ON_BOTH(tests);
}
