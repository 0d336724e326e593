/* Whose turn it is: which queued job is claimed next, fair between accounts and repositories.
 *
 * Two lines: what a person waits for (`urgent`), and fresh work. In each, accounts (an App's installation belongs to
 * one) take turns, and an account's repositories take turns within its own. A row of turn_account or turn_repository
 * with waiting = 1 says that a job may stand in line there; one that finds no job is put right when its turn comes. So
 * a claim looks at index ends only, however many jobs and repositories wait.
 *
 * The turns change under turns_lock() only. A queued job with not_before_ms = 0 stands in line and its rows say
 * waiting; one that is to wait stands in none until a claim finds it due.
 */
#include <stdlib.h>

#include "app/store_internal.h"

enum {
    URGENT_TURNS_MAX = 3, /* in a row while fresh work waits */
    DUE_MAX = 1000,       /* jobs that one claim puts in line */
    TRIES_MAX = 1000,     /* turns that one claim may find used up: jobs that were cancelled while they waited */
};

int turns_lock(struct store *store, struct error *err)
{
    return sql_run(store, "turns_lock", NULL, 0, NULL, err) < 0 ? -1 : 0;
}

int turn_wait(struct store *store, int64_t id, struct error *err)
{
    if (sql_run(store, "turn_wait_account", SQL_PARAMS(sql_int("id", id)), NULL, err) < 0 ||
        sql_run(store, "turn_wait_repository", SQL_PARAMS(sql_int("id", id)), NULL, err) < 0)
        return -1;
    return 0;
}

struct turn {
    char *forge, *owner, *repo;
    bool urgent;
    int64_t number;
};

static void turn_release(struct turn *turn)
{
    free(turn->forge);
    free(turn->owner);
    free(turn->repo);
}

struct clock {
    int64_t turn, urgent_turns;
};

static int read_clock(void *context, const struct sql_row *row, struct error *err)
{
    (void)err;
    *(struct clock *)context = (struct clock){row_int(row, "turn"), row_int(row, "urgent_turns")};
    return 0;
}

static int put_due_in_line(struct store *store, int64_t now_ms, struct error *err)
{
    struct id_list list = {0};
    int status = sql_run(store, "jobs_due", SQL_PARAMS(sql_int("now", now_ms), sql_int("most", DUE_MAX)),
                         &(struct sql_reader){sql_list_id, &list}, err) < 0
                     ? -1
                     : 0;
    for (size_t i = 0; status == 0 && i < list.count; i++)
        status = turn_wait(store, list.ids[i], err);
    free(list.ids);
    return status;
}

static int read_turn(void *context, const struct sql_row *row, struct error *err)
{
    struct turn *turn = context;
    turn->forge = row_text(row, "forge");
    turn->owner = row_text(row, "owner");
    turn->repo = row_text(row, "repo");
    return turn->forge && turn->owner && turn->repo ? 0 : sql_out_of_memory(err);
}

/* The turn was had: the next one comes after all that wait now. */
static int pass_on(struct store *store, const struct turn *turn, struct error *err)
{
    struct sql_value number = sql_int("turn", turn->number), urgent = sql_int("urgent", turn->urgent);
    struct sql_value forge = sql_text("forge", turn->forge), owner = sql_text("owner", turn->owner);
    if (sql_run(store, "turn_had_repository", SQL_PARAMS(number, forge, owner, sql_text("repo", turn->repo), urgent),
                NULL, err) < 0 ||
        sql_run(store, "turn_had_account", SQL_PARAMS(number, forge, owner, urgent), NULL, err) < 0)
        return -1;
    return 0;
}

struct claim {
    const char *worker;
    int64_t now_ms, until_ms;
    int per_repository;
    int64_t job; /* 0 as long as there is none */
};

static int claim_oldest(struct store *store, const struct turn *turn, struct claim *claim, struct error *err)
{
    if (sql_run(store, "job_claim",
                SQL_PARAMS(sql_text("worker", claim->worker), sql_int("until", claim->until_ms),
                           sql_int("now", claim->now_ms), sql_text("forge", turn->forge),
                           sql_text("owner", turn->owner), sql_text("repo", turn->repo),
                           sql_int("urgent", turn->urgent)),
                &(struct sql_reader){sql_read_id, &claim->job}, err) < 0)
        return -1;
    return pass_on(store, turn, err);
}

/* Gives the next turn of a line; *any false when nobody waits there who may have one. */
static int take_turn(struct store *store, bool urgent, int64_t number, struct claim *claim, bool *any,
                     struct error *err)
{
    struct turn turn = {.urgent = urgent, .number = number};
    int64_t rows = sql_run(store, "turn_next",
                           SQL_PARAMS(sql_int("urgent", urgent), sql_int("per_repository", claim->per_repository)),
                           &(struct sql_reader){read_turn, &turn}, err);
    int status = rows < 0 ? -1 : 0;
    if (rows > 0)
        status = claim_oldest(store, &turn, claim, err);
    *any = rows > 0;
    turn_release(&turn);
    return status;
}

static int claim_in_line(struct store *store, bool urgent, struct clock *clock, struct claim *claim, struct error *err)
{
    bool any = true;
    for (int i = 0; any && !claim->job && i < TRIES_MAX; i++) {
        if (take_turn(store, urgent, clock->turn + 1, claim, &any, err) < 0)
            return -1;
        clock->turn += any;
    }
    if (claim->job)
        clock->urgent_turns = urgent ? clock->urgent_turns + 1 : 0;
    return 0;
}

static int claim_next(struct store *store, struct claim *claim, struct error *err)
{
    struct clock clock = {0};
    if (turns_lock(store, err) < 0 || put_due_in_line(store, claim->now_ms, err) < 0 ||
        sql_run(store, "turn_clock", NULL, 0, &(struct sql_reader){read_clock, &clock}, err) < 0)
        return -1;
    int64_t before = clock.turn;
    bool urgent_first = clock.urgent_turns < URGENT_TURNS_MAX;
    if (claim_in_line(store, urgent_first, &clock, claim, err) < 0 ||
        (!claim->job && claim_in_line(store, !urgent_first, &clock, claim, err) < 0))
        return -1;
    if (clock.turn == before) /* a look that finds nothing writes nothing */
        return 0;
    return sql_run(store, "turn_clock_set",
                   SQL_PARAMS(sql_int("turn", clock.turn), sql_int("urgent_turns", clock.urgent_turns)), NULL, err) < 0
               ? -1
               : 0;
}

int store_job_claim(struct store *store, const char *worker, int64_t now_ms, int64_t lease_ms, int per_repository,
                    struct job *out, bool *found, struct error *err)
{
    struct job job = {0};
    struct claim claim = {
        .worker = worker, .now_ms = now_ms, .until_ms = now_ms + lease_ms, .per_repository = per_repository};
    int status = sql_begin(store, err) < 0 ? -1 : claim_next(store, &claim, err);
    if (status == 0 && claim.job)
        status = store_job_get(store, claim.job, &job, err);
    if (sql_end(store, status, err) < 0) {
        job_release(&job);
        return error_wrap(err, "claim a job");
    }
    *found = claim.job != 0;
    if (*found)
        *out = job;
    return 0;
}
