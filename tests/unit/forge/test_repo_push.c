/* Pushing: what is replaced, what is kept, who is faster. */
#include "tests/unit/forge/git_fixture.h"

static const struct repo_person assay = {"assay[bot]", "1+assay[bot]@users.noreply.github.com"};

struct scene {
    struct git_fixture *it;
    struct repo *repo;
    struct repo_remote remote;
    char *base;
};

static struct scene open_scene(void **state)
{
    struct scene scene = {.it = *state};
    struct error err = {0};
    scene.repo = open_mirror(scene.it);
    scene.remote.url = scene.it->origin;
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    scene.base = git_out(scene.it->work, "rev-parse HEAD");
    return scene;
}

static void close_scene(struct scene *scene)
{
    repo_close(scene->repo);
    free(scene->base);
}

static void commit_on(struct scene *scene, const char *parent, const char *text, char id[static REPO_ID_SIZE])
{
    struct repo_file file = {.path = "new.txt", .data = text, .len = strlen(text)};
    struct error err = {0};
    assert_ok(repo_commit(scene->repo, parent, &file, 1, &assay, text, 1770000000000, id, &err));
}

static void assert_there(struct scene *scene, const char *branch, const char *id)
{
    char *there = git_out(scene->it->origin, "rev-parse refs/heads/%s", branch);
    assert_string_equal(there, id);
    free(there);
}

static int push(struct scene *scene, const char *id, struct error *err)
{
    return repo_push(scene->repo, &scene->remote, "assay/7", id, scene->base, assay.email, err);
}

static void a_new_branch_is_made_and_the_same_push_again_is_fine(void **state)
{
    struct scene scene = open_scene(state);
    struct error err = {0};
    char id[REPO_ID_SIZE];
    commit_on(&scene, scene.base, "one", id);
    assert_ok(push(&scene, id, &err));
    assert_there(&scene, "assay/7", id);
    assert_ok(push(&scene, id, &err));
    assert_there(&scene, "assay/7", id);
    close_scene(&scene);
}

static void our_own_branch_is_replaced_by_force(void **state)
{
    struct scene scene = open_scene(state);
    struct error err = {0};
    char first[REPO_ID_SIZE], second[REPO_ID_SIZE], other[REPO_ID_SIZE];
    commit_on(&scene, scene.base, "one", first);
    commit_on(&scene, first, "two", second);
    assert_ok(push(&scene, second, &err));
    commit_on(&scene, scene.base, "another attempt", other);
    assert_ok(push(&scene, other, &err));
    assert_there(&scene, "assay/7", other);
    close_scene(&scene);
}

/* The branch as a person sees it: checked out, one commit more, pushed. */
static char *person_adds_to(struct scene *scene, const char *branch)
{
    git_run(scene->it->work, "fetch -q origin");
    git_run(scene->it->work, "checkout -q -B mine origin/%s", branch);
    git_run(scene->it->work, "commit -q --allow-empty -m mine");
    git_run(scene->it->work, "push -q origin HEAD:%s", branch);
    return git_out(scene->it->work, "rev-parse HEAD");
}

static void a_person_s_commit_on_our_branch_is_kept_and_named(void **state)
{
    struct scene scene = open_scene(state);
    struct error err = {0};
    char first[REPO_ID_SIZE], other[REPO_ID_SIZE], name[11];
    commit_on(&scene, scene.base, "one", first);
    assert_ok(push(&scene, first, &err));
    char *theirs = person_adds_to(&scene, "assay/7");
    commit_on(&scene, scene.base, "another attempt", other);
    snprintf(name, sizeof name, "%s", theirs);
    assert_fails(push(&scene, other, &err), ERROR_CONFLICT, name);
    assert_int_equal(push(&scene, other, &err), -1);
    assert_non_null(strstr(err.message, "by ann@example.com"));
    assert_there(&scene, "assay/7", theirs);
    free(theirs);
    close_scene(&scene);
}

static void a_commit_that_a_person_amended_is_theirs(void **state)
{
    struct scene scene = open_scene(state);
    struct error err = {0};
    char first[REPO_ID_SIZE], other[REPO_ID_SIZE];
    commit_on(&scene, scene.base, "one", first);
    assert_ok(push(&scene, first, &err));
    git_run(scene.it->work, "fetch -q origin");
    git_run(scene.it->work, "checkout -q -B mine origin/assay/7");
    git_run(scene.it->work, "commit -q --amend -m better"); /* author: ours, committer: theirs */
    git_run(scene.it->work, "push -q -f origin HEAD:assay/7");
    commit_on(&scene, scene.base, "another attempt", other);
    assert_fails(push(&scene, other, &err), ERROR_CONFLICT, "ann@example.com");
    close_scene(&scene);
}

static void a_commit_on_top_of_a_person_s_branch_is_added(void **state)
{
    struct scene scene = open_scene(state);
    struct error err = {0};
    char ours[REPO_ID_SIZE];
    git_run(scene.it->work, "push -q origin HEAD:topic");
    char *theirs = person_adds_to(&scene, "topic");
    assert_ok(repo_fetch(scene.repo, &scene.remote, &err));
    commit_on(&scene, theirs, "asked for", ours);
    assert_ok(repo_push(scene.repo, &scene.remote, "topic", ours, theirs, assay.email, &err));
    assert_there(&scene, "topic", ours);
    /* Somebody pushes on top; our next commit does not know of it. */
    char *later = person_adds_to(&scene, "topic"), next[REPO_ID_SIZE];
    commit_on(&scene, ours, "more", next);
    assert_fails(repo_push(scene.repo, &scene.remote, "topic", next, ours, assay.email, &err), ERROR_CONFLICT,
                 "would be lost");
    assert_there(&scene, "topic", later);
    free(later);
    free(theirs);
    close_scene(&scene);
}

static void odd_branch_names_and_ids_are_refused(void **state)
{
    struct scene scene = open_scene(state);
    struct error err = {0};
    char id[REPO_ID_SIZE];
    commit_on(&scene, scene.base, "one", id);
    static const char *const names[] = {"a..b", "a b", "x.lock", "", "a:b", "../../HEAD"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_fails(repo_push(scene.repo, &scene.remote, names[i], id, scene.base, assay.email, &err), ERROR_INPUT,
                     "not a name");
    assert_fails(repo_push(scene.repo, &scene.remote, "b", "HEAD", scene.base, assay.email, &err), ERROR_INPUT,
                 "no commit id");
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        git_test(a_new_branch_is_made_and_the_same_push_again_is_fine),
        git_test(our_own_branch_is_replaced_by_force),
        git_test(a_person_s_commit_on_our_branch_is_kept_and_named),
        git_test(a_commit_that_a_person_amended_is_theirs),
        git_test(a_commit_on_top_of_a_person_s_branch_is_added),
        git_test(odd_branch_names_and_ids_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
