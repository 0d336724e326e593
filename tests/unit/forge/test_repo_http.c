/* Fetching and pushing over HTTP: credentials, deadlines, redirects, answers that are no git, races. */
#include "tests/unit/forge/git_server.h"

#include "app/base/clock.h"

static const struct repo_person assay = {"assay[bot]", "1+assay[bot]@users.noreply.github.com"};
static const struct secret token = {.value = GIT_SERVER_TOKEN, .len = sizeof GIT_SERVER_TOKEN - 1};

struct scene {
    struct git_fixture *it;
    struct git_server server;
    struct repo *repo;
    char *url, *base;
    struct repo_remote remote;
};

static struct scene open_scene(void **state, const char *prefix)
{
    struct scene scene = {.it = *state};
    scene.server = git_server_start(scene.it->root);
    scene.repo = open_mirror(scene.it);
    scene.url = text_format("%s%s/origin.git", scene.server.url, prefix);
    scene.base = git_out(scene.it->work, "rev-parse HEAD");
    scene.remote = (struct repo_remote){.url = scene.url, .token = &token};
    return scene;
}

static void close_scene(struct scene *scene)
{
    repo_close(scene->repo);
    git_server_stop(&scene->server);
    free(scene->url);
    free(scene->base);
}

static void commit_on(struct scene *scene, const char *parent, const char *text, char id[static REPO_ID_SIZE])
{
    struct repo_file file = {.path = "new.txt", .data = text, .len = strlen(text)};
    struct error err = {0};
    assert_ok(repo_commit(scene->repo, parent, &file, 1, &assay, text, 1770000000000, id, &err));
}

static void a_fetch_is_incremental_and_brings_only_what_was_asked_for(void **state)
{
    struct scene scene = open_scene(state, "");
    struct error err = {0};
    char got[REPO_ID_SIZE];
    git_run(scene.it->work, "commit -q --allow-empty -m fork");
    char *fork_id = git_out(scene.it->work, "rev-parse HEAD");
    git_run(scene.it->work, "push -q origin HEAD:refs/pull/7/head");
    git_run(scene.it->work, "reset -q --hard HEAD~1");
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    assert_ok(repo_resolve(scene.repo, "HEAD", got, &err));
    assert_string_equal(got, scene.base);
    assert_fails(repo_resolve(scene.repo, fork_id, got, &err), ERROR_NOT_FOUND, fork_id);
    scene.remote.extra_ref = "refs/pull/7/head";
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    assert_ok(repo_resolve(scene.repo, fork_id, got, &err));
    char *second = push_file(scene.it, "b.txt", "b\n");
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    assert_ok(repo_resolve(scene.repo, "main", got, &err));
    assert_string_equal(got, second);
    free(second);
    free(fork_id);
    close_scene(&scene);
}

static void a_large_history_comes_whole(void **state)
{
    struct git_fixture *it = *state;
    struct error err = {0};
    char name[32], got[REPO_ID_SIZE];
    char *text = malloc(200001);
    for (size_t i = 0; i < 200000; i++)
        text[i] = (char)('a' + random() % 26);
    text[200000] = '\0';
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof name, "f%d.txt", i);
        text[i * 1000] ^= 1;
        write_file(it->work, name, text);
        git_run(it->work, "add -A");
        git_run(it->work, "commit -q -m %s", name);
    }
    git_run(it->work, "push -q origin main");
    struct scene scene = open_scene(state, "");
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    assert_ok(repo_resolve(scene.repo, "main", got, &err));
    assert_string_equal(got, scene.base);
    AUTO_BUF struct buf out = BUF_INIT(MiB(1));
    assert_ok(repo_read(scene.repo, got, "f7.txt", &out, &err));
    assert_string_equal(buf_text(&out), text);
    free(text);
    close_scene(&scene);
}

static void a_push_arrives_and_replaces_only_what_is_ours(void **state)
{
    struct scene scene = open_scene(state, "");
    struct error err = {0};
    char first[REPO_ID_SIZE], second[REPO_ID_SIZE];
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    commit_on(&scene, scene.base, "one", first);
    commit_on(&scene, scene.base, "two", second);
    assert_ok(repo_push(scene.repo, &scene.remote, "assay/7", first, scene.base, assay.email, &err));
    assert_ok(repo_push(scene.repo, &scene.remote, "assay/7", second, scene.base, assay.email, &err));
    char *there = git_out(scene.it->origin, "rev-parse assay/7");
    assert_string_equal(there, second);
    git_run(scene.it->work, "commit -q --allow-empty -m theirs");
    git_run(scene.it->work, "push -q -f origin HEAD:assay/7");
    assert_fails(repo_push(scene.repo, &scene.remote, "assay/7", first, scene.base, assay.email, &err), ERROR_CONFLICT,
                 "ann@example.com");
    free(there);
    close_scene(&scene);
}

static void a_refused_reference_is_an_error_in_the_server_s_words(void **state)
{
    struct scene scene = open_scene(state, "");
    struct error err = {0};
    char first[REPO_ID_SIZE], second[REPO_ID_SIZE];
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    commit_on(&scene, scene.base, "one", first);
    commit_on(&scene, scene.base, "two", second);
    assert_ok(repo_push(scene.repo, &scene.remote, "assay/7", first, scene.base, assay.email, &err));
    git_run(scene.it->origin, "config receive.denyNonFastForwards true");
    assert_fails(repo_push(scene.repo, &scene.remote, "assay/7", second, scene.base, assay.email, &err), ERROR_CONFLICT,
                 "non-fast-forward");
    git_run(scene.it->origin, "config receive.denyNonFastForwards false");
    write_file(scene.it->origin, "hooks/update", "#!/bin/sh\nexit 1\n");
    char *hook = text_format("%s/hooks/update", scene.it->origin);
    assert_int_equal(chmod(hook, 0755), 0);
    assert_fails(repo_push(scene.repo, &scene.remote, "assay/7", second, scene.base, assay.email, &err), ERROR_FORGE,
                 "hook declined");
    free(hook);
    close_scene(&scene);
}

static void bad_credentials_are_denied_at_once(void **state)
{
    struct scene scene = open_scene(state, "");
    struct error err = {0};
    struct secret wrong = {.value = "wrong", .len = 5};
    scene.remote.token = &wrong;
    assert_fails(repo_fetch(scene.repo, &scene.remote, &err), ERROR_DENIED, "(401)");
    scene.remote.token = NULL;
    assert_fails(repo_fetch(scene.repo, &scene.remote, &err), ERROR_DENIED, "may read here");
    assert_fails(repo_push(scene.repo, &scene.remote, "b", scene.base, scene.base, assay.email, &err), ERROR_DENIED,
                 "may push here");
    scene.remote.token = &token;
    scene.remote.user = "somebody";
    assert_fails(repo_fetch(scene.repo, &scene.remote, &err), ERROR_DENIED, "(401)");
    close_scene(&scene);
}

static void an_error_never_shows_what_stands_before_the_host(void **state)
{
    struct scene scene = open_scene(state, "");
    struct error err = {0};
    char *url = text_format("http://user:p4ssw0rd@%s/nothing.git", scene.server.url + 7);
    scene.remote.url = url;
    assert_int_equal(repo_fetch(scene.repo, &scene.remote, &err), -1);
    assert_null(strstr(err.message, "p4ssw0rd"));
    free(url);
    close_scene(&scene);
}

static void answers_that_are_no_repository_say_so(void **state)
{
    static const struct {
        const char *prefix;
        enum error_code code;
        const char *words;
    } cases[] = {
        {"/html", ERROR_FORGE, "is git_url right?"},
        {"/away", ERROR_DENIED, "another host"},
        {"/missing", ERROR_NOT_FOUND, "no such repository"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scene scene = open_scene(state, cases[i].prefix);
        struct error err = {0};
        assert_fails(repo_fetch(scene.repo, &scene.remote, &err), cases[i].code, cases[i].words);
        close_scene(&scene);
    }
}

static void a_repository_that_was_renamed_is_still_reached(void **state)
{
    struct scene scene = open_scene(state, "/moved");
    struct error err = {0};
    char id[REPO_ID_SIZE];
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    commit_on(&scene, scene.base, "one", id);
    assert_ok(repo_push(scene.repo, &scene.remote, "assay/7", id, scene.base, assay.email, &err));
    close_scene(&scene);
}

static bool after_a_while(void *context)
{
    return clock_monotonic_ms() > *(int64_t *)context;
}

static void a_server_that_never_answers_costs_no_more_than_the_deadline(void **state)
{
    struct scene scene = open_scene(state, "/silent");
    struct error err = {0};
    int64_t start = clock_monotonic_ms(), moment = start + 1500;
    scene.remote.timeout_ms = 700;
    assert_int_equal(repo_fetch(scene.repo, &scene.remote, &err), -1);
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_true(err.retryable);
    scene.remote.timeout_ms = 0;
    scene.remote.cancelled = after_a_while;
    scene.remote.cancel_context = &moment;
    assert_int_equal(repo_fetch(scene.repo, &scene.remote, &err), -1);
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_true(clock_monotonic_ms() - start < 10000);
    close_scene(&scene);
}

/* Moves the branch when the push asks for the n-th time whether it is cancelled. */
struct racer {
    struct scene *scene;
    int left;
    char *theirs;
};

static bool race(void *context)
{
    struct racer *racer = context;
    if (racer->left-- == 0) {
        git_run(racer->scene->it->work, "push -q -f origin HEAD:assay/7");
        racer->theirs = git_out(racer->scene->it->work, "rev-parse HEAD");
    }
    return false;
}

static void whoever_pushes_in_between_loses_nothing(void **state)
{
    int conflicts = 0;
    for (int when = 0; when < 12; when++) {
        struct scene scene = open_scene(state, "");
        struct error err = {0};
        char first[REPO_ID_SIZE], second[REPO_ID_SIZE];
        assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
        commit_on(&scene, scene.base, "one", first);
        commit_on(&scene, scene.base, "two", second);
        git_run(scene.it->origin, "update-ref -d refs/heads/assay/7");
        assert_ok(repo_push(scene.repo, &scene.remote, "assay/7", first, scene.base, assay.email, &err));
        git_run(scene.it->work, "commit -q --allow-empty -m theirs-%d", when);
        struct racer racer = {.scene = &scene, .left = when};
        scene.remote.cancelled = race;
        scene.remote.cancel_context = &racer;
        int result = repo_push(scene.repo, &scene.remote, "assay/7", second, scene.base, assay.email, &err);
        char *there = git_out(scene.it->origin, "rev-parse assay/7");
        assert_string_equal(there, racer.theirs ? racer.theirs : second);
        if (result < 0)
            assert_int_equal(err.code, ERROR_CONFLICT);
        conflicts += result < 0;
        free(there);
        free(racer.theirs);
        git_run(scene.it->work, "reset -q --hard HEAD~1");
        close_scene(&scene);
    }
    assert_true(conflicts > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        git_test(a_fetch_is_incremental_and_brings_only_what_was_asked_for),
        git_test(a_large_history_comes_whole),
        git_test(a_push_arrives_and_replaces_only_what_is_ours),
        git_test(a_refused_reference_is_an_error_in_the_server_s_words),
        git_test(bad_credentials_are_denied_at_once),
        git_test(an_error_never_shows_what_stands_before_the_host),
        git_test(answers_that_are_no_repository_say_so),
        git_test(a_repository_that_was_renamed_is_still_reached),
        git_test(a_server_that_never_answers_costs_no_more_than_the_deadline),
        git_test(whoever_pushes_in_between_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
