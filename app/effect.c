#include "app/effect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/base/clock.h"
#include "app/base/json.h"

enum {
    SETTLE_MS = 3000, /* after this what was sent has arrived, and what has arrived is listed */
    LOOK_EVERY_MS = 500
};

/* One effect on its way. */
struct deed {
    const struct effects *effects;
    const struct kind *kind;
    struct effect_row row; /* borrows: which one, job, delivery, token */
    void *what;            /* the kind's own arguments */
    int64_t id;            /* the forge's number for it; 0: none known */
    json_t *withheld;      /* in a dry run */
};

/* ---- what each kind does ---- */

struct reaction {
    enum forge_subject subject;
    int64_t id;
    const char *content;
};

static int make_reaction(struct deed *deed, struct error *err)
{
    const struct reaction *reaction = deed->what;
    return forge_react(deed->effects->forge, deed->effects->repo, reaction->subject, reaction->id, reaction->content,
                       err);
}

struct comment {
    int64_t number;
    const char *marker, *body;
};

static int look_for_comment(struct deed *deed, struct error *err)
{
    const struct comment *comment = deed->what;
    return forge_comment_find(deed->effects->forge, deed->effects->repo, comment->number, comment->marker, &deed->id,
                              err);
}

static int put_comment(struct deed *deed, struct error *err)
{
    const struct comment *comment = deed->what;
    return forge_comment_put(deed->effects->forge, deed->effects->repo, comment->number, comment->marker, comment->body,
                             &deed->id, err);
}

struct branch {
    const char *name, *head;
    int (*push)(void *context, struct error *err);
    void *context;
};

static void withhold(void *context, const json_t *request);

static int push_branch(struct deed *deed, struct error *err)
{
    const struct branch *branch = deed->what;
    if (!forge_is_dry(deed->effects->forge))
        return store_effect_holds(deed->effects->store, &deed->row, err) < 0 ? -1 : branch->push(branch->context, err);
    json_auto_t *request = json_pack("{s:s, s:s, s:s}", "method", "PUSH", "path", branch->name, "body", branch->head);
    withhold(deed, request);
    return 0;
}

static int look_for_check(struct deed *deed, struct error *err)
{
    return forge_check_find(deed->effects->forge, deed->effects->repo, deed->what, &deed->id, err);
}

static int put_check(struct deed *deed, struct error *err)
{
    return forge_check_put(deed->effects->forge, deed->effects->repo, deed->what, &deed->id, err);
}

struct pull {
    const struct forge_pull_request *request;
    const char *head;
    struct forge_pull *out;
};

static int look_for_pull(struct deed *deed, struct error *err)
{
    const struct pull *pull = deed->what;
    return forge_pull_made(deed->effects->forge, deed->effects->repo, pull->request->branch, pull->head, &deed->id,
                           err);
}

/* One that was opened and is closed now stays as a person has left it. */
static int put_pull(struct deed *deed, struct error *err)
{
    const struct pull *pull = deed->what;
    struct forge_pull there = {0};
    if (deed->id && forge_pull_get(deed->effects->forge, deed->effects->repo, deed->id, &there, err) < 0)
        return -1;
    if (there.number && !there.open) {
        *pull->out = there;
        return 0;
    }
    forge_pull_release(&there);
    if (forge_pull_put(deed->effects->forge, deed->effects->repo, pull->request, pull->out, err) < 0)
        return -1;
    deed->id = pull->out->number;
    return 0;
}

struct label {
    int64_t number;
    const char *name;
};

static int put_label(struct deed *deed, struct error *err)
{
    const struct label *label = deed->what;
    return forge_label_add(deed->effects->forge, deed->effects->repo, label->number, label->name, err);
}

static int take_label(struct deed *deed, struct error *err)
{
    const struct label *label = deed->what;
    return forge_label_remove(deed->effects->forge, deed->effects->repo, label->number, label->name, err);
}

static const struct kind {
    const char *name;
    bool once; /* when it is done nothing is left to do; otherwise it is brought up to date */
    int (*look)(struct deed *deed, struct error *err); /* sets deed->id; NULL: doing it twice is the same as once */
    int (*make)(struct deed *deed, struct error *err); /* makes it, or brings deed->id up to date */
    const char *mark, *found;
} kinds[] = {
    [EFFECT_REACTION] = {"reaction", true, NULL, make_reaction, "by who reacted, to what, and how",
                         "not at all: the forge keeps one of each"},
    [EFFECT_COMMENT] = {"comment", false, look_for_comment, put_comment, "a hidden marker in its text",
                        "among our own comments on the issue, by the marker"},
    [EFFECT_BRANCH] = {"branch", false, NULL, push_branch, "its name and head commit",
                       "by the push itself, which first asks where the branch is"},
    [EFFECT_CHECK] = {"check", false, look_for_check, put_check, "its external id (job-12) and commit",
                      "among the commit's check runs, by the external id"},
    [EFFECT_PULL] = {"pull", false, look_for_pull, put_pull, "its branch and head commit",
                     "among the pull requests from the branch, open and closed, by the head commit"},
    [EFFECT_LABEL] = {"label", true, NULL, put_label, "its name", "not at all: an issue has a label once"},
    [EFFECT_UNLABEL] = {"unlabel", true, NULL, take_label, "its name", "not at all: what is off stays off"},
};

const char *effect_kind_name(size_t kind, const char **mark, const char **found)
{
    if (kind >= sizeof kinds / sizeof kinds[0])
        return NULL;
    *mark = kinds[kind].mark;
    *found = kinds[kind].found;
    return kinds[kind].name;
}

/* ---- the one way to do one ---- */

static int may_write(void *context, struct error *err)
{
    const struct deed *deed = context;
    return store_effect_holds(deed->effects->store, &deed->row, err);
}

static void withhold(void *context, const json_t *request)
{
    struct deed *deed = context;
    if (!deed->withheld)
        deed->withheld = json_array();
    json_array_append_new(deed->withheld, json_deep_copy(request));
    log_info(deed->effects->log, "dry run: would %s %s", json_text_at(request, "method", "?"),
             json_text_at(request, "path", "?"));
}

/* Refused for certain, or did it perhaps happen? */
static const char *state_after(const struct error *failure)
{
    bool refused = failure->code == ERROR_INPUT || failure->code == ERROR_DENIED || failure->code == ERROR_NOT_FOUND ||
                   failure->code == ERROR_LIMIT;
    return refused && !failure->retryable ? "refused" : "unknown";
}

static int note(struct deed *deed, const char *state, const char *why, struct error *err)
{
    char id[24] = "";
    if (deed->id)
        snprintf(id, sizeof id, "%lld", (long long)deed->id);
    struct effect_row row = deed->row;
    row.state = (char *)state;
    row.note = (char *)why;
    row.external_id = id;
    row.request = deed->withheld;
    return store_effect_end(deed->effects->store, &row, err);
}

/* What was sent by somebody who did not live to hear the answer may be on its way still. */
static int look_for(struct deed *deed, int64_t age_ms, struct error *err)
{
    int64_t until = clock_monotonic_ms() + SETTLE_MS - (age_ms > 0 ? age_ms : 0);
    for (;;) {
        if (deed->kind->look(deed, err) < 0)
            return -1;
        if (deed->id || clock_monotonic_ms() >= until)
            return 0;
        clock_sleep_ms(LOOK_EVERY_MS);
    }
}

static int make(struct deed *deed, bool was_there, struct error *err)
{
    struct forge *forge = deed->effects->forge;
    int64_t id_before = deed->id;
    struct error failure = {0};
    forge_on_write(forge, may_write, deed);
    forge_on_dry_run(forge, withhold, deed);
    int status = deed->kind->make(deed, &failure);
    forge_on_write(forge, NULL, NULL);
    forge_on_dry_run(forge, NULL, NULL);
    if (status == 0 && was_there && deed->id == id_before)
        return 0;
    if (status == 0)
        return note(deed, deed->withheld ? "dry" : "done", "", err);
    struct error ignored = {0};
    if (!was_there && note(deed, state_after(&failure), failure.message, &ignored) < 0)
        log_warn(deed->effects->log, "%s", ignored.message);
    return *err = failure, -1;
}

static int carry_out(struct deed *deed, struct error *err)
{
    struct effect_row before = {0};
    if (store_effect_begin(deed->effects->store, &deed->row, &before, err) < 0)
        return -1;
    const char *state = before.state ? before.state : "";
    bool done = strcmp(state, "done") == 0;
    bool unsure = strcmp(state, "intended") == 0 || strcmp(state, "unknown") == 0;
    int64_t age_ms = clock_wall_ms() - before.last_ms;
    if (before.external_id && *before.external_id)
        deed->id = strtoll(before.external_id, NULL, 10);
    effect_row_release(&before);
    if (done)
        deed->row.token = 0; /* it is everybody's to bring up to date */
    if (done && deed->kind->once)
        return 0;
    if (unsure && deed->kind->look && look_for(deed, age_ms, err) < 0)
        return -1;
    return make(deed, done, err);
}

static struct effect_row identity(const struct effects *effects, enum effect_kind kind, const char *key)
{
    return (struct effect_row){.forge = (char *)effects->forge_name,
                               .owner = effects->repo->owner,
                               .repo = effects->repo->name,
                               .kind = (char *)kinds[kind].name,
                               .key = (char *)key};
}

/* `key` is stolen. */
static int do_once(const struct effects *effects, enum effect_kind kind, char *key, void *what, int64_t *id,
                   struct error *err)
{
    AUTO_FREE char *owned = key;
    struct deed deed = {.effects = effects, .kind = &kinds[kind], .what = what, .id = id ? *id : 0};
    if (!owned)
        return error_set(err, ERROR_INTERNAL, "%s: out of memory", kinds[kind].name);
    deed.row = identity(effects, kind, owned);
    deed.row.job = effects->job;
    deed.row.delivery = (char *)effects->delivery;
    deed.row.token = 1 + (int64_t)arc4random_uniform(INT32_MAX);
    int status = carry_out(&deed, err);
    json_decref(deed.withheld);
    if (status == 0 && id)
        *id = deed.id;
    return status;
}

/* ---- the doors ---- */

char *effect_reaction_key(enum forge_subject subject, int64_t id, const char *content)
{
    static const char *const names[] = {
        [FORGE_ISSUE] = "issue", [FORGE_ISSUE_COMMENT] = "comment", [FORGE_REVIEW_COMMENT] = "review-comment"};
    return text_format("%s %lld %s", names[subject], (long long)id, content);
}

char *effect_comment_key(int64_t number, const char *marker)
{
    return text_format("#%lld %s", (long long)number, marker);
}

int effect_react(const struct effects *effects, enum forge_subject subject, int64_t id, const char *content,
                 struct error *err)
{
    struct reaction reaction = {subject, id, content};
    return do_once(effects, EFFECT_REACTION, effect_reaction_key(subject, id, content), &reaction, NULL, err);
}

int effect_comment(const struct effects *effects, int64_t number, const char *marker, const char *body, int64_t *id,
                   struct error *err)
{
    struct comment comment = {number, marker, body};
    return do_once(effects, EFFECT_COMMENT, effect_comment_key(number, marker), &comment, id, err);
}

/* One run of a job opens one pull request for a commit. */
static char *pull_key(const char *branch, const char *head, int64_t run_ms)
{
    return text_format("%s %s, run %lld", branch, head, (long long)run_ms);
}

/* What was noted of an effect; released by the caller. */
static int look_up(const struct effects *effects, enum effect_kind kind, const char *key, struct effect_row *row,
                   bool *found, struct error *err)
{
    const struct effect_row wanted = identity(effects, kind, key);
    return store_effect_find(effects->store, &wanted, row, found, err);
}

static int is_done(const struct effects *effects, enum effect_kind kind, const char *key, bool *done, struct error *err)
{
    struct effect_row row = {0};
    bool found = false;
    if (look_up(effects, kind, key, &row, &found, err) < 0)
        return -1;
    *done = found && strcmp(row.state, "done") == 0;
    effect_row_release(&row);
    return 0;
}

int effect_branch(const struct effects *effects, const char *name, const char *head, int64_t run_ms,
                  int (*push)(void *context, struct error *err), void *context, struct error *err)
{
    struct branch branch = {name, head, push, context};
    AUTO_FREE char *opened = pull_key(name, head, run_ms);
    bool left_alone = false;
    if (!opened)
        return error_set(err, ERROR_INTERNAL, "push %s: out of memory", name);
    if (is_done(effects, EFFECT_PULL, opened, &left_alone, err) < 0)
        return -1;
    return left_alone ? 0 : do_once(effects, EFFECT_BRANCH, text_format("%s %s", name, head), &branch, NULL, err);
}

int effect_check(const struct effects *effects, const struct forge_check *check, int64_t *id, struct error *err)
{
    char *key = text_format("%s %s", check->external_id, check->head_sha);
    return do_once(effects, EFFECT_CHECK, key, (void *)check, id, err);
}

int effect_pull(const struct effects *effects, const struct forge_pull_request *request, const char *head,
                int64_t run_ms, struct forge_pull *out, struct error *err)
{
    struct forge_pull there = {0};
    struct pull pull = {request, head, &there};
    if (do_once(effects, EFFECT_PULL, pull_key(request->branch, head, run_ms), &pull, NULL, err) < 0) {
        forge_pull_release(&there);
        return -1;
    }
    *out = there;
    return 0;
}

int effect_label(const struct effects *effects, int64_t number, const char *label, bool on, int64_t run_ms,
                 struct error *err)
{
    struct label what = {number, label};
    char *key = text_format("#%lld %s, run %lld", (long long)number, label, (long long)run_ms);
    return do_once(effects, on ? EFFECT_LABEL : EFFECT_UNLABEL, key, &what, NULL, err);
}

int effect_is_anothers(const struct effects *effects, enum effect_kind kind, const char *key, bool *anothers,
                       struct error *err)
{
    struct effect_row row = {0};
    bool found = false;
    if (look_up(effects, kind, key, &row, &found, err) < 0)
        return -1;
    *anothers = found && strcmp(row.delivery, effects->delivery ? effects->delivery : "") != 0;
    effect_row_release(&row);
    return 0;
}
