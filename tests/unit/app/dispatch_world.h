/* A store, a scripted GitHub, and deliveries that are handed to the dispatcher. */
#ifndef TESTS_DISPATCH_WORLD_H
#define TESTS_DISPATCH_WORLD_H

#include "tests/unit/forge/script_server.h"

#include "app/base/clock.h"
#include "app/base/json.h"
#include "app/dispatch.h"
#include "store_fixture.h"

#define OCTO "/repos/octo/shop"
#define MAY_WRITE                                                                                                      \
    {                                                                                                                  \
        "GET " OCTO "/collaborators/mia/permission", NULL, NULL, 200, NULL, "{\"permission\": \"write\"}"              \
    }
#define MAY_READ                                                                                                       \
    {                                                                                                                  \
        "GET " OCTO "/collaborators/eve/permission", NULL, NULL, 200, NULL, "{\"permission\": \"read\"}"               \
    }
#define WHO_WE_ARE                                                                                                     \
    {                                                                                                                  \
        "GET /user", NULL, NULL, 200, NULL, "{\"login\": \"assay-user\", \"id\": 1}"                                   \
    }
#define EYES(path)                                                                                                     \
    {                                                                                                                  \
        "POST " OCTO path "/reactions", NULL, "{\"content\": \"eyes\"}", 201, NULL, "{\"id\": 1}"                      \
    }
#define COMMENTS                                                                                                       \
    {                                                                                                                  \
        "GET " OCTO "/issues/7/comments?per_page=100", NULL, NULL, 200, NULL, "[]"                                     \
    }
#define SAYS                                                                                                           \
    {                                                                                                                  \
        "POST " OCTO "/issues/7/comments", NULL, "*", 201, NULL, "{\"id\": 900}"                                       \
    }
#define SAYS_AGAIN                                                                                                     \
    {                                                                                                                  \
        "PATCH " OCTO "/issues/comments/900", NULL, "*", 200, NULL, "{\"id\": 900}"                                    \
    }

struct world {
    struct fixture *fixture;
    struct script_forge server;
    struct config config;
    char *note;
    int64_t again_ms;
};

static inline void world_open(struct world *world, void **state, const struct exchange *script, size_t count)
{
    *world = (struct world){.fixture = *state, .config = {.label = "assay"}};
    script_forge_open(&world->server, script, count);
}

#define WORLD(name, script)                                                                                            \
    struct world name;                                                                                                 \
    world_open(&name, state, script, sizeof(script) / sizeof((script)[0]))

static inline void world_close(struct world *world)
{
    free(world->note);
    script_forge_close(&world->server);
}

/* Hands a delivery in, received `age_ms` ago; its note is in world->note. */
static inline void deliver_aged(struct world *world, const char *event_name, const char *id, const char *payload,
                                int64_t age_ms)
{
    struct error err = {0};
    struct event event;
    json_auto_t *json = json_loads(payload, 0, NULL);
    AUTO_BUF struct buf note = BUF_INIT(KiB(4));
    if (!json)
        fail_msg("the payload is no JSON: %s", payload);
    NEEDS(event_read(event_name, json, &event, &err), &err);
    struct trigger trigger = {
        .config = &world->config,
        .store = world->fixture->store,
        .forge = world->server.forge,
        .forge_name = "github",
        .event = &event,
        .sender_id = json_int_at(json, "sender.id", 0),
        .delivery = id,
        .received_ms = clock_wall_ms() - age_ms,
        .as_of = json_text_at(json, FORGE_FOUND_KEY ".as_of", NULL),
        .log = &world->server.log,
    };
    world->again_ms = 0;
    NEEDS(dispatch_event(&trigger, &world->again_ms, &note, &err), &err);
    event_release(&event);
    free(world->note);
    world->note = strdup(buf_text(&note));
}

static inline void deliver(struct world *world, const char *event_name, const char *payload)
{
    deliver_aged(world, event_name, "d-1", payload, 0);
}

static inline char *issue_event(const char *action, const char *label, const char *sender, const char *body,
                                const char *time)
{
    return text_format("{\"action\": \"%s\", \"label\": {\"name\": \"%s\"}, \"installation\": {\"id\": 77},"
                       " \"repository\": {\"name\": \"shop\", \"owner\": {\"login\": \"octo\"}},"
                       " \"sender\": {\"login\": \"%s\", \"id\": 42, \"type\": \"User\"},"
                       " \"issue\": {\"number\": 7, \"title\": \"Slugify\", \"body\": \"%s\", \"state\": \"open\","
                       " \"user\": {\"login\": \"mia\"}, \"labels\": [{\"name\": \"%s\"}],"
                       " \"created_at\": \"%s\", \"updated_at\": \"%s\"}}",
                       action, label, sender, body, label, time, time);
}

static inline void send_issue(struct world *world, const char *action, const char *label, const char *sender,
                              const char *body, const char *time)
{
    AUTO_FREE char *payload = issue_event(action, label, sender, body, time);
    deliver(world, "issues", payload);
}

struct said {
    const char *action, *author, *type, *sender, *body;
    int id;
    bool on_pull;
};

static inline void say_aged(struct world *world, struct said said, const char *delivery, int64_t age_ms)
{
    json_auto_t *payload = json_pack(
        "{s:s, s:{s:s, s:{s:s}}, s:{s:s, s:i, s:s}, s:{s:i, s:s, s:s, s:s, s:{s:s}, s:[]},"
        " s:{s:i, s:s, s:s, s:{s:s, s:s}}}",
        "action", said.action ? said.action : "created", "repository", "name", "shop", "owner", "login", "octo",
        "sender", "login", said.sender ? said.sender : said.author, "id", 42, "type", said.type ? said.type : "User",
        "issue", "number", 7, "title", "Slugify", "body", "Make a slug", "state", "open", "user", "login", "mia",
        "labels", "comment", "id", said.id ? said.id : 500, "body", said.body, "created_at", "2026-11-21T08:00:00Z",
        "user", "login", said.author, "type", said.type ? said.type : "User");
    assert_non_null(payload);
    if (said.on_pull)
        json_object_set_new(json_object_get(payload, "issue"), "pull_request", json_object());
    AUTO_FREE char *text = json_dumps(payload, 0);
    deliver_aged(world, "issue_comment", delivery, text, age_ms);
}

static inline void say(struct world *world, struct said said)
{
    say_aged(world, said, "d-1", 0);
}

static inline size_t count_jobs(struct world *world)
{
    struct error err = {0};
    struct job_filter filter = {.state = -1};
    struct job *jobs = NULL;
    size_t count = 0;
    NEEDS(store_jobs(world->fixture->store, &filter, &jobs, &count, &err), &err);
    jobs_free(jobs, count);
    return count;
}

static inline struct job job_of(struct world *world, int64_t id)
{
    struct error err = {0};
    struct job job;
    NEEDS(store_job_get(world->fixture->store, id, &job, &err), &err);
    return job;
}

/* Claims a job and ends it in that state. */
static inline void end_job(struct world *world, int64_t id, enum job_state job_state, const char *outcome)
{
    struct error err = {0};
    assert_int_equal(claim_at(world->fixture->store, "worker", clock_wall_ms() + 1000, 9), id);
    NEEDS(store_job_finish(world->fixture->store, id, job_state, outcome, "because", &err), &err);
}

static inline void publish(struct world *world, int64_t id, const char *key, json_t *value)
{
    struct error err = {0};
    NEEDS(store_job_publish(world->fixture->store, id, key, value, &err), &err);
    json_decref(value);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
