/* What comments set off: commands, answers to questions, and what is nobody's business. */
#include "dispatch_world.h"

/* ---- comments ---- */

static void generate_adds_the_comment_to_the_issue(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500"), MAY_WRITE};
    WORLD(world, script);
    struct said said = {.author = "mia", .body = "/generate with care\n- and `tests`"};
    say(&world, said);
    assert_string_equal(world.note, "/generate job 1");
    say(&world, said); /* the same delivery after a crash */
    assert_int_equal(count_jobs(&world), 1);
    struct job job = job_of(&world, 1);
    assert_string_equal(json_text_at(job.request, "body", ""), "Make a slug");
    assert_string_equal(json_text_at(job.request, "text", ""), "with care\n- and `tests`");
    assert_int_equal(json_int_at(job.request, "comment_id", 0), 500);
    job_release(&job);
    world_close(&world);
}

static void a_newer_generate_takes_the_place_of_one_that_waits(void **state)
{
    const struct exchange script[] = {
        WHO_WE_ARE,
        MAY_WRITE,
        EYES("/issues/comments/500"),
        {"PATCH " OCTO "/issues/comments/800", NULL, "*", 200, NULL, "{\"id\": 800}"},
        COMMENTS,
        {"POST " OCTO "/issues/7/comments", NULL,
         "{\"body\": \"Job 2 takes the place of job 1: the newest request counts.\\n\\n<!-- assay:reply:500 -->\\n\"}",
         201, NULL, "{\"id\": 900}"}};
    WORLD(world, script);
    int64_t first = add_job_for(world.fixture->store, "shop", 7, "k1");
    publish(&world, first, "comment_id", json_integer(800));
    say(&world, (struct said){.author = "mia", .body = "/generate another way"});
    assert_string_equal(world.note, "/generate job 2");
    struct job job = job_of(&world, first);
    assert_int_equal(job.state, JOB_CANCELLED);
    assert_int_equal(job.superseded_by, 2);
    job_release(&job);
    world_close(&world);
}

static void comments_of_bots_and_our_own_start_nothing(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE};
    WORLD(world, script);
    say(&world, (struct said){.author = "helper[bot]", .body = "/generate"});
    assert_string_equal(world.note, "ignored: a bot's comment");
    say(&world, (struct said){.author = "helper", .type = "Bot", .body = "/generate"});
    assert_string_equal(world.note, "ignored: a bot's comment");
    say(&world, (struct said){.author = "assay-user", .body = "/generate\n<!-- assay:job:1:progress -->"});
    assert_string_equal(world.note, "ignored: own comment");
    say(&world, (struct said){.author = "mia", .body = "nice work"});
    assert_string_equal(world.note, "ignored: no command");
    say(&world, (struct said){.action = "edited", .author = "mia", .body = "/generate"});
    assert_string_equal(world.note, "ignored: an edited comment");
    say(&world, (struct said){.action = "deleted", .author = "mia", .body = "/generate"});
    assert_int_equal(count_jobs(&world), 0);
    struct error err = {0};
    enum forge_permission permission; /* the script's last step: nobody had been asked about before */
    NEEDS(forge_permission(world.server.forge, &(struct forge_repo){"octo", "shop", 0}, "mia", &permission, &err),
          &err);
    world_close(&world);
}

static void strangers_get_one_polite_line(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE,
                                      MAY_READ,
                                      COMMENTS,
                                      {"POST " OCTO "/issues/7/comments", NULL,
                                       "{\"body\": \"Sorry, eve: only people who may write to this repository can "
                                       "give me work. Nothing was started.\\n\\n<!-- assay:reply:500 -->\\n\"}",
                                       201, NULL, "{\"id\": 900}"},
                                      MAY_READ};
    WORLD(world, script);
    say(&world, (struct said){.author = "eve", .body = "/generate\n/retry"});
    assert_string_equal(world.note, "ignored: eve has no write permission");
    say(&world, (struct said){.author = "eve", .body = "/genrate", .id = 501}); /* a typo is not worth a word */
    assert_int_equal(count_jobs(&world), 0);
    world_close(&world);
}

static void several_commands_are_answered_in_one_comment(void **state)
{
    const struct exchange script[] = {
        WHO_WE_ARE,
        MAY_WRITE,
        EYES("/issues/comments/500"),
        COMMENTS,
        {"POST " OCTO "/issues/7/comments", NULL,
         "{\"body\": \"`/review` is planned, but this version does not do it yet. `/help` shows what works.\\n\\n"
         "I don't know `/retyr`. Did you mean `/retry`?\\n\\n"
         "There is no job here yet. Add the label `assay`, or comment `/generate`, to start one.\\n\\n"
         "<!-- assay:reply:500 -->\\n\"}",
         201, NULL, "{\"id\": 900}"}};
    WORLD(world, script);
    say(&world, (struct said){.author = "mia", .body = "/review\n/retyr\n/status\n/frobnicate"});
    assert_string_equal(world.note, "/review, /retyr, /status");
    world_close(&world);
}

static void cancel_ends_a_waiting_job_and_asks_a_running_one(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE,
                                      MAY_WRITE,
                                      EYES("/issues/comments/500"),
                                      {"PATCH " OCTO "/issues/comments/800", NULL, "*", 200, NULL, "{\"id\": 800}"},
                                      COMMENTS,
                                      SAYS,
                                      MAY_WRITE,
                                      EYES("/issues/comments/501"),
                                      COMMENTS,
                                      SAYS,
                                      MAY_WRITE,
                                      EYES("/issues/comments/502"),
                                      COMMENTS,
                                      SAYS};
    WORLD(world, script);
    int64_t first = add_job_for(world.fixture->store, "shop", 7, "k1");
    publish(&world, first, "comment_id", json_integer(800));
    say(&world, (struct said){.author = "mia", .body = "/cancel", .id = 500});
    struct job job = job_of(&world, first);
    assert_int_equal(job.state, JOB_CANCELLED);
    job_release(&job);
    say(&world, (struct said){.author = "mia", .body = "/cancel", .id = 501}); /* and again: nothing to do */
    int64_t second = add_job_for(world.fixture->store, "shop", 7, "k2");
    assert_int_equal(claim_at(world.fixture->store, "worker", clock_wall_ms() + 1000, 9), second);
    say(&world, (struct said){.author = "mia", .body = "/cancel", .id = 502});
    job = job_of(&world, second);
    assert_int_equal(job.state, JOB_RUNNING);
    assert_true(job.cancel_requested);
    job_release(&job);
    world_close(&world);
}

static void retry_runs_the_last_job_again_once(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500"), COMMENTS, SAYS,
                                      MAY_WRITE,  SAYS_AGAIN};
    WORLD(world, script);
    int64_t id = add_job_for(world.fixture->store, "shop", 7, "k1");
    end_job(&world, id, JOB_DONE, "needs-human");
    say(&world, (struct said){.author = "mia", .body = "/retry"});
    struct job job = job_of(&world, id);
    assert_int_equal(job.state, JOB_QUEUED);
    job_release(&job);
    end_job(&world, id, JOB_DONE, "proven");
    say(&world, (struct said){.author = "mia", .body = "/retry"}); /* the same comment, delivered again */
    job = job_of(&world, id);
    assert_int_equal(job.state, JOB_DONE);
    job_release(&job);
    world_close(&world);
}

static double raised(struct world *world, int64_t id)
{
    struct job job = job_of(world, id);
    double sum = 0;
    size_t i;
    json_t *raise;
    json_array_foreach (json_object_get(job.request, "raises"), i, raise)
        sum += json_number_value(json_object_get(raise, "usd"));
    job_release(&job);
    return sum;
}

static void continue_raises_the_bound_once_of_a_job_that_stopped_at_it(void **state)
{
    static const char answer[] =
        "{\"body\": \"Job 1 may cost $1.50 more and goes on where it stopped.\\n\\n<!-- assay:reply:500 -->\\n\"}";
    const struct exchange script[] = {WHO_WE_ARE,
                                      MAY_WRITE,
                                      EYES("/issues/comments/500"),
                                      COMMENTS,
                                      {"POST " OCTO "/issues/7/comments", NULL, answer, 201, NULL, "{\"id\": 900}"},
                                      MAY_WRITE,
                                      SAYS_AGAIN};
    WORLD(world, script);
    int64_t id = add_job_for(world.fixture->store, "shop", 7, "k1");
    publish(&world, id, JOB_OUT_OF_MONEY, json_true());
    end_job(&world, id, JOB_DONE, "needs-human");
    say(&world, (struct said){.author = "mia", .body = "/continue +$1.50"});
    assert_string_equal(world.note, "/continue job 1");
    struct job job = job_of(&world, id);
    assert_int_equal(job.state, JOB_QUEUED);
    job_release(&job);
    end_job(&world, id, JOB_DONE, "proven");
    say(&world, (struct said){.author = "mia", .body = "/continue +$1.50"}); /* delivered again */
    assert_true(raised(&world, id) > 1.49 && raised(&world, id) < 1.51);
    job = job_of(&world, id);
    assert_int_equal(job.state, JOB_DONE);
    job_release(&job);
    world_close(&world);
}

static void continue_without_a_clear_amount_changes_nothing(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500"), COMMENTS,
                                      SAYS,       MAY_WRITE, EYES("/issues/comments/501"), COMMENTS,
                                      SAYS,       MAY_WRITE, EYES("/issues/comments/502"), COMMENTS,
                                      SAYS};
    static const char *const comments[] = {
        "/continue\n/continue +$\n/continue +$0\n/continue -1\n/continue +$1,50",
        "/continue +$1 please\n/continue 1e3\n/continue +$101\n/continue nan\n/continue 0x10",
        "/continue +$1.2.3\n/continue ++1\n/continue $ 1\n/continue inf\n/continue then\n+$1",
    };
    WORLD(world, script);
    int64_t id = add_job_for(world.fixture->store, "shop", 7, "k1");
    publish(&world, id, JOB_OUT_OF_MONEY, json_true());
    end_job(&world, id, JOB_DONE, "needs-human");
    for (int i = 0; i < 3; i++)
        say(&world, (struct said){.author = "mia", .body = comments[i], .id = 500 + i});
    struct job job = job_of(&world, id);
    assert_int_equal(job.state, JOB_DONE);
    assert_null(json_object_get(job.request, "raises"));
    job_release(&job);
    world_close(&world);
}

static void continue_is_for_jobs_that_stopped_for_want_of_money(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500"), COMMENTS, SAYS};
    WORLD(world, script);
    int64_t id = add_job_for(world.fixture->store, "shop", 7, "k1");
    end_job(&world, id, JOB_DONE, "needs-human");
    say(&world, (struct said){.author = "mia", .body = "/continue +$1"});
    struct job job = job_of(&world, id);
    assert_int_equal(job.state, JOB_DONE);
    job_release(&job);
    world_close(&world);
}

static void commands_on_a_pull_request_reach_the_job_that_opened_it(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500"), COMMENTS, SAYS};
    WORLD(world, script);
    int64_t id = add_job_for(world.fixture->store, "shop", 7, "k1");
    struct error err = {0};
    json_auto_t *request = json_object();
    struct job other = {.forge = "github",
                        .owner = "octo",
                        .repo = "shop",
                        .number = 8,
                        .kind = "generate",
                        .request_key = "k2",
                        .request = request};
    int64_t other_id;
    bool fresh;
    NEEDS(store_job_add(world.fixture->store, &other, &other_id, &fresh, &err), &err);
    publish(&world, id, "pull", json_integer(7));
    say(&world, (struct said){.author = "mia", .body = "/cancel", .on_pull = true});
    struct job job = job_of(&world, id);
    assert_int_equal(job.state, JOB_CANCELLED);
    job_release(&job);
    job = job_of(&world, other_id);
    assert_int_equal(job.state, JOB_QUEUED);
    job_release(&job);
    world_close(&world);
}

/* ---- answers ---- */

static int64_t asking_job(struct world *world)
{
    int64_t id = add_job_for(world->fixture->store, "shop", 7, "k1");
    publish(world, id, "questions",
            json_pack("[{s:s, s:[s, s]}, {s:s, s:[s]}]", "question", "Which case?", "options", "lower", "upper",
                      "question", "Empty?", "options", "error"));
    end_job(world, id, JOB_QUESTION, "question");
    return id;
}

static void assert_answer(struct world *world, int64_t id, const char *text)
{
    struct job job = job_of(world, id);
    assert_int_equal(job.state, text ? JOB_QUEUED : JOB_QUESTION);
    const json_t *answers = json_object_get(job.request, "answers");
    assert_int_equal(json_array_size(answers), text ? 1 : 0);
    assert_string_equal(json_text_at(json_array_get(answers, 0), "text", ""), text ? text : "");
    job_release(&job);
}

static void a_reply_answers_a_question(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_READ, MAY_WRITE, EYES("/issues/comments/501")};
    WORLD(world, script);
    int64_t id = asking_job(&world);
    say(&world, (struct said){.author = "eve", .body = "Upper!", .id = 500});
    assert_answer(&world, id, NULL);
    say(&world, (struct said){.author = "mia", .body = "Lower, please.", .id = 501});
    assert_answer(&world, id, "Lower, please.");
    say(&world, (struct said){.author = "mia", .body = "And thanks.", .id = 502});
    assert_string_equal(world.note, "ignored: no command");
    assert_answer(&world, id, "Lower, please.");
    world_close(&world);
}

#define QUESTION(a, b, c) "- [" a "] lower\n- [" b "] upper\n\n- [" c "] error\n<!-- assay:job:1:question -->"

static void all_boxes_ticked_go_on_at_once(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, EYES("/issues/comments/500")};
    WORLD(world, script);
    int64_t id = asking_job(&world);
    struct said said = {.action = "edited", .author = "assay-user", .sender = "mia"};
    said.body = QUESTION(" ", " ", " ");
    say(&world, said);
    assert_string_equal(world.note, "ignored: nothing is ticked");
    said.body = QUESTION("x", " ", "x");
    say(&world, said);
    assert_answer(&world, id, "Which case? lower\nEmpty? error");
    world_close(&world);
}

static void a_first_tick_waits_for_the_others(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_WRITE, MAY_WRITE,
                                      MAY_WRITE,  MAY_WRITE, EYES("/issues/comments/500")};
    WORLD(world, script);
    int64_t id = asking_job(&world);
    struct said said = {.action = "edited", .author = "assay-user", .sender = "mia", .body = QUESTION("x", " ", " ")};
    say_aged(&world, said, "d-1", 0);
    assert_true(world.again_ms > clock_wall_ms());
    assert_answer(&world, id, NULL);
    said.body = QUESTION("x", "x", " ");
    say_aged(&world, said, "d-2", 0);
    assert_true(world.again_ms > clock_wall_ms());
    said.body = QUESTION("x", " ", " ");
    say_aged(&world, said, "d-1", 60 * 1000); /* the first one's time has come, but there is a newer one */
    assert_string_equal(world.note, "ignored: there are newer ticks");
    assert_answer(&world, id, NULL);
    said.body = QUESTION("x", "x", " ");
    say_aged(&world, said, "d-2", 60 * 1000);
    assert_answer(&world, id, "Which case? lower; upper");
    world_close(&world);
}

static void strangers_and_other_comments_answer_nothing(void **state)
{
    const struct exchange script[] = {WHO_WE_ARE, MAY_READ};
    WORLD(world, script);
    int64_t id = asking_job(&world);
    struct said said = {.action = "edited", .author = "assay-user", .sender = "eve", .body = QUESTION("x", " ", "x")};
    say(&world, said);
    said.author = "mia"; /* our words in somebody else's comment */
    say(&world, said);
    assert_string_equal(world.note, "ignored: an edited comment");
    said.author = "assay-user";
    said.body = "- [x] lower\n<!-- assay:job:99:question -->";
    say(&world, said);
    assert_string_equal(world.note, "ignored: nothing waits for an answer");
    assert_answer(&world, id, NULL);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(generate_adds_the_comment_to_the_issue),
        TEST(a_newer_generate_takes_the_place_of_one_that_waits),
        TEST(comments_of_bots_and_our_own_start_nothing),
        TEST(strangers_get_one_polite_line),
        TEST(several_commands_are_answered_in_one_comment),
        TEST(cancel_ends_a_waiting_job_and_asks_a_running_one),
        TEST(retry_runs_the_last_job_again_once),
        TEST(continue_raises_the_bound_once_of_a_job_that_stopped_at_it),
        TEST(continue_without_a_clear_amount_changes_nothing),
        TEST(continue_is_for_jobs_that_stopped_for_want_of_money),
        TEST(commands_on_a_pull_request_reach_the_job_that_opened_it),
        TEST(a_reply_answers_a_question),
        TEST(all_boxes_ticked_go_on_at_once),
        TEST(a_first_tick_waits_for_the_others),
        TEST(strangers_and_other_comments_answer_nothing),
    };
    return RUN_ON_BOTH(tests);
}
