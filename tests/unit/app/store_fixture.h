/* A store of its own for each test, and short ways to fill it: an SQLite file in a temporary folder, or a schema in a
 * private PostgreSQL. RUN_ON_BOTH(tests) runs a group of tests on the one and then on the other. */
#ifndef TESTS_UNIT_APP_STORE_FIXTURE_H
#define TESTS_UNIT_APP_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/base/buf.h"
#include "app/base/fs.h"
#include "app/store.h"
#include "postgres_fixture.h"

struct fixture {
    char *folder, *path, *url; /* path: of the SQLite file, whatever the back end */
    struct store *store;
};

/* Which back end fixture_setup() makes: NULL is SQLite. Set between groups of tests only. */
static const char *fixture_server;

#define NEEDS(call, err)                                                                                               \
    do {                                                                                                               \
        if ((call) < 0)                                                                                                \
            fail_msg("%s: %s", #call, (err)->message);                                                                 \
    } while (0)

static inline struct store *open_or_fail(const char *url)
{
    struct error err = {0};
    struct store *store = store_open(url, &err);
    if (!store)
        fail_msg("%s", err.message);
    return store;
}

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->folder = fs_make_temp_dir("/tmp", "assay-store-", NULL);
    assert_non_null(fixture->folder);
    fixture->path = text_format("%s/deep/er/assay.db", fixture->folder);
    fixture->url = fixture_server ? postgres_new_schema(fixture_server) : text_format("sqlite://%s", fixture->path);
    assert_non_null(fixture->url);
    fixture->store = open_or_fail(fixture->url);
    *state = fixture;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    store_close(fixture->store);
    fs_remove_tree(fixture->folder, NULL);
    free(fixture->folder);
    free(fixture->path);
    free(fixture->url);
    free(fixture);
    return 0;
}

static inline int fixture_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    struct postgres_server server;
    int failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    if (!postgres_start(&server, NULL)) {
        print_message("[  SKIPPED ] %s: PostgreSQL is not installed\n", name);
        return failed;
    }
    fixture_server = server.url;
    failed += _cmocka_run_group_tests("the same on PostgreSQL", tests, count, NULL, NULL);
    fixture_server = NULL;
    postgres_end(&server);
    return failed;
}
#define RUN_ON_BOTH(tests) fixture_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]))

static inline struct delivery a_delivery(const char *id, const char *payload)
{
    return (struct delivery){.forge = "github",
                             .id = (char *)id,
                             .event = "issues",
                             .payload = (char *)payload,
                             .payload_len = strlen(payload),
                             .received_ms = 1000};
}

static inline int64_t add_job_for(struct store *store, const char *repo, int64_t number, const char *key)
{
    struct error err = {0};
    json_auto_t *request = json_pack("{s:s, s:s}", "title", "Slugify", "body", "Make a slug");
    struct job job = {.forge = "github",
                      .owner = "octo",
                      .repo = (char *)repo,
                      .installation = 77,
                      .number = number,
                      .kind = "generate",
                      .request_key = (char *)key,
                      .title = "Slugify",
                      .request = request,
                      .triggered_ms = 123};
    int64_t id = 0;
    bool fresh = false;
    NEEDS(store_job_add(store, &job, &id, &fresh, &err), &err);
    assert_true(fresh);
    return id;
}

/* For an issue that no other job is for. */
static inline int64_t add_job(struct store *store, const char *repo, const char *key)
{
    static int64_t number = 100;
    return add_job_for(store, repo, ++number, key);
}

/* Claims the next job at time `now` for `worker`, leased for 1000 ms; 0 when there is none. */
static inline int64_t claim_at(struct store *store, const char *worker, int64_t now, int per_repository)
{
    struct error err = {0};
    struct job job = {0};
    bool found = false;
    NEEDS(store_job_claim(store, worker, now, 1000, per_repository, &job, &found, &err), &err);
    int64_t id = found ? job.id : 0;
    job_release(&job);
    return id;
}

#endif
