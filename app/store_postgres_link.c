/* The connection to PostgreSQL: made, lost, made again; and what the server's errors mean for a person. */
#include "app/store_postgres.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "app/base/clock.h"

enum {
    CONNECT_MS = 5 * 1000,
    ANSWER_MS = 20 * 1000, /* longer than statement_timeout below, which says more */
    PAUSE_FIRST_MS = 100,
    PAUSE_MAX_MS = 10 * 1000,
    COMPARE_MS = 10 * 1000,
};

/* A process that stands still in the middle of a transaction must not hold its locks for ever. */
static const char session[] =
    "SET client_encoding = 'UTF8'; SET client_min_messages = warning; SET standard_conforming_strings = on;"
    "SET statement_timeout = '15s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'";

/* ---- errors ---- */

/* libpq's messages have several lines and end with one. */
static void one_line(const char *message, char *out, size_t size)
{
    size_t len = 0;
    for (const char *at = message; *at && len + 1 < size; at++) {
        bool blank = strchr("\r\n\t ", *at) != NULL;
        if (!blank || (len > 0 && out[len - 1] != ' '))
            out[len++] = blank ? ' ' : *at;
    }
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
}

static int fault(const struct postgres *postgres, struct error *err, bool again, const char *message, const char *fix)
{
    char line[ERROR_MESSAGE_MAX / 2];
    one_line(message, line, sizeof line);
    error_set(err, ERROR_STORE, "database %s: %s%s%s", postgres->place, *line ? line : "no answer", fix ? "; " : "",
              fix ? fix : "");
    return again ? error_retry(err, 0) : -1;
}

/* By the SQLSTATE or its class; the first that fits. */
static const struct {
    const char *state;
    enum error_code code;
    bool again;
    const char *fix;
} meanings[] = {
    {"23503", ERROR_NOT_FOUND, false, NULL}, /* a foreign key: there is no such job */
    {"25006", ERROR_STORE, true, "name the server that takes writes (target_session_attrs=read-write)"},
    {"28", ERROR_CONFIG, false, "check user and password (PGPASSFILE, or passfile= in the address) and pg_hba.conf"},
    {"3D000", ERROR_CONFIG, false, "create it: createdb --owner=USER NAME"},
    {"40", ERROR_STORE, true, NULL}, /* serialisation, deadlock */
    {"42501", ERROR_CONFIG, false, "let Assay's user own the database (ALTER DATABASE … OWNER TO …)"},
    {"53100", ERROR_FULL, true, "no room left on the server's disk; make room there"},
    {"53", ERROR_STORE, true, NULL},
    {"54", ERROR_LIMIT, false, NULL},
    {"55P03", ERROR_STORE, true, "another process kept a lock; try again"},
    {"57014", ERROR_STORE, true, "the server was too slow; try again"},
    {"57", ERROR_STORE, true, NULL}, /* the server stops, or starts */
    {"08", ERROR_STORE, true, NULL},
};

static int refused(const struct postgres *postgres, const PGresult *result, struct error *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    for (size_t i = 0; state && i < sizeof meanings / sizeof meanings[0]; i++) {
        if (strncmp(state, meanings[i].state, strlen(meanings[i].state)) != 0)
            continue;
        fault(postgres, err, meanings[i].again, primary ? primary : "", meanings[i].fix);
        if (err)
            err->code = meanings[i].code;
        return -1;
    }
    return fault(postgres, err, false, PQresultErrorMessage(result), NULL);
}

int postgres_lost(struct postgres *postgres, struct error *err)
{
    fault(postgres, err, true, postgres->link ? PQerrorMessage(postgres->link) : "not connected", NULL);
    postgres_drop(postgres);
    return -1;
}

/* ---- waiting for the server ---- */

static bool wait_socket(PGconn *link, short events, int64_t deadline)
{
    struct pollfd socket = {.fd = PQsocket(link), .events = events};
    int64_t left = deadline - clock_monotonic_ms();
    return left > 0 && poll(&socket, 1, (int)left) >= 0 && clock_monotonic_ms() < deadline;
}

static bool flush(PGconn *link, int64_t deadline)
{
    int left;
    while ((left = PQflush(link)) == 1)
        if (!wait_socket(link, POLLIN | POLLOUT, deadline) || !PQconsumeInput(link))
            return false;
    return left == 0;
}

/* The next result; NULL in *result at the end. */
static bool next_result(PGconn *link, int64_t deadline, PGresult **result)
{
    while (PQisBusy(link))
        if (!wait_socket(link, POLLIN, deadline) || !PQconsumeInput(link))
            return false;
    *result = PQgetResult(link);
    return true;
}

PGresult *postgres_result(struct postgres *postgres, struct error *err)
{
    int64_t deadline = clock_monotonic_ms() + ANSWER_MS;
    PGresult *kept = NULL;
    PGresult *next = NULL;
    bool alive = flush(postgres->link, deadline);
    while (alive && (alive = next_result(postgres->link, deadline, &next)) && next) {
        if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
            PQclear(next); /* the first error is the reason */
            continue;
        }
        PQclear(kept);
        kept = next;
    }
    if (kept && PQresultStatus(kept) != PGRES_FATAL_ERROR && alive && PQstatus(postgres->link) == CONNECTION_OK)
        return kept;
    if (!kept || !PQresultErrorField(kept, PG_DIAG_SQLSTATE))
        postgres_lost(postgres, err);
    else if (refused(postgres, kept, err) < 0 && (!alive || PQstatus(postgres->link) != CONNECTION_OK))
        postgres_drop(postgres); /* it said why it goes, and went */
    PQclear(kept);
    return NULL;
}

int64_t postgres_stream(struct postgres *postgres, const char *sql, const struct sql_reader *reader, struct error *err)
{
    int64_t rows = 0;
    if (!PQsendQueryParams(postgres->link, sql, 0, NULL, NULL, NULL, NULL, 1) || !PQsetSingleRowMode(postgres->link))
        return postgres_lost(postgres, err);
    for (;;) {
        int64_t deadline = clock_monotonic_ms() + ANSWER_MS;
        AUTO_RESULT PGresult *result = NULL;
        if (!flush(postgres->link, deadline) || !next_result(postgres->link, deadline, &result))
            return postgres_lost(postgres, err);
        if (!result)
            return rows;
        ExecStatusType status = PQresultStatus(result);
        if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            refused(postgres, result, err);
            postgres_drop(postgres); /* with whatever else is on its way */
            return -1;
        }
        int64_t more = postgres_hand_over(result, reader, err);
        if (more < 0) {
            postgres_drop(postgres);
            return -1;
        }
        rows += more;
    }
}

int postgres_copy_begins(struct postgres *postgres, const char *sql, struct error *err)
{
    int64_t deadline = clock_monotonic_ms() + ANSWER_MS;
    AUTO_RESULT PGresult *result = NULL;
    if (!PQsendQuery(postgres->link, sql) || !flush(postgres->link, deadline) ||
        !next_result(postgres->link, deadline, &result))
        return postgres_lost(postgres, err);
    return PQresultStatus(result) == PGRES_COPY_IN ? 0 : refused(postgres, result, err);
}

int postgres_copy(struct postgres *postgres, const char *data, size_t len, struct error *err)
{
    int64_t deadline = clock_monotonic_ms() + ANSWER_MS;
    int taken;
    while ((taken = PQputCopyData(postgres->link, data, (int)len)) == 0) /* it has no room until some has left */
        if (!wait_socket(postgres->link, POLLIN | POLLOUT, deadline) || !PQconsumeInput(postgres->link))
            return postgres_lost(postgres, err);
    return taken == 1 && flush(postgres->link, deadline) ? 0 : postgres_lost(postgres, err);
}

int postgres_execute(struct postgres *postgres, const char *sql, struct error *err)
{
    if (!PQsendQuery(postgres->link, sql))
        return postgres_lost(postgres, err);
    AUTO_RESULT PGresult *result = postgres_result(postgres, err);
    return result ? 0 : -1;
}

int postgres_ask(struct postgres *postgres, const char *sql, int64_t *value, struct error *err)
{
    if (!PQsendQuery(postgres->link, sql))
        return postgres_lost(postgres, err);
    AUTO_RESULT PGresult *result = postgres_result(postgres, err);
    if (result && PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
        *value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    return result ? 0 : -1;
}

/* ---- the server's clock ---- */

/* Goes on while the machine sleeps, and does not jump when its clock is set. */
static int64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t postgres_clock(const struct postgres *postgres)
{
    return boot_ms() + postgres->ahead_ms;
}

int postgres_compare_clocks(struct postgres *postgres, struct error *err)
{
    int64_t before = boot_ms();
    int64_t theirs = 0;
    if (before < postgres->compare_ms)
        return 0;
    if (postgres_ask(postgres, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &theirs, err) < 0)
        return -1;
    int64_t after = boot_ms();
    postgres->ahead_ms = theirs - (before + (after - before) / 2);
    postgres->compare_ms = after + COMPARE_MS;
    return 0;
}

/* ---- news ---- */

static const char *const channels[] = {[STORE_NEWS_DELIVERY] = "assay_delivery", [STORE_NEWS_JOB] = "assay_job"};

static int say(struct postgres *postgres, const char *what, enum store_news news)
{
    AUTO_FREE char *sql = text_format("%s %s", what, channels[news]);
    return sql ? postgres_execute(postgres, sql, NULL) : -1;
}

void postgres_wake(struct store *store, enum store_news news)
{
    if (postgres_of(store)->link)
        say(postgres_of(store), "NOTIFY", news);
}

static bool take_news(struct postgres *postgres, enum store_news news)
{
    bool found = false;
    for (PGnotify *notify; (notify = PQnotifies(postgres->link)); PQfreemem(notify))
        found = found || strcmp(notify->relname, channels[news]) == 0;
    return found;
}

bool postgres_wait(struct store *store, enum store_news news, int fd, int64_t ms)
{
    struct postgres *postgres = postgres_of(store);
    struct pollfd until[] = {{.fd = fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (postgres->link && !postgres->listening[news]) { /* what came before we listened is seen by looking now */
        postgres->listening[news] = say(postgres, "LISTEN", news) == 0;
        return postgres->listening[news];
    }
    if (postgres->link && take_news(postgres, news)) /* read together with an earlier answer */
        return true;
    if (postgres->link)
        until[1].fd = PQsocket(postgres->link);
    if (poll(until, 2, (int)ms) > 0 && postgres->link && until[1].revents && !PQconsumeInput(postgres->link))
        postgres_drop(postgres);
    return !postgres->link || take_news(postgres, news);
}

/* ---- connecting ---- */

static bool finish_connecting(PGconn *link)
{
    int64_t deadline = clock_monotonic_ms() + CONNECT_MS;
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED) {
        if (!wait_socket(link, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
            return false;
        step = PQconnectPoll(link);
    }
    return step == PGRES_POLLING_OK;
}

static int64_t pause_after(int failures)
{
    int64_t pause = PAUSE_FIRST_MS << (failures < 8 ? failures : 8);
    uint32_t dice = 0;
    if (pause > PAUSE_MAX_MS)
        pause = PAUSE_MAX_MS;
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) < 0) /* so that a restarted server does not get all at once */
        dice = 0;
    return pause / 2 + (int64_t)dice % (pause / 2 + 1);
}

/* Without a connection there is no SQLSTATE: only the words tell what must be put right by a person. */
static int not_connected(struct postgres *postgres, struct error *err)
{
    static const char *const for_good[] = {"password", "authentication", "pg_hba", "does not exist", "invalid"};
    const char *message = postgres->link ? PQerrorMessage(postgres->link) : "out of memory";
    bool again = true;
    for (size_t i = 0; i < sizeof for_good / sizeof for_good[0]; i++)
        again = again && !strstr(message, for_good[i]);
    fault(postgres, err, again, *message ? message : "it did not answer in time",
          again
              ? NULL
              : "check the address, the user, its password (PGPASSFILE, or passfile= in the address) and pg_hba.conf");
    if (!again && err)
        err->code = ERROR_CONFIG;
    return -1;
}

/* What the server says besides its answers would go to standard error, past the log; errors come with the answers. */
static void ignore_notice(void *context, const PGresult *notice)
{
    (void)context, (void)notice;
}

/* A crash that the server mends without starting anew sets its counters back. */
static const char life[] =
    "SELECT hashtextextended(pg_postmaster_start_time()::text || coalesce(stats_reset::text, ''), 0) "
    "FROM pg_stat_bgwriter";

static int start_session(struct postgres *postgres, struct error *err)
{
    const char *const names[] = {"dbname", "fallback_application_name", NULL};
    const char *const values[] = {postgres->url, "assay", NULL};
    postgres->link = PQconnectStartParams(names, values, 1);
    if (!postgres->link || PQstatus(postgres->link) == CONNECTION_BAD || !finish_connecting(postgres->link))
        return not_connected(postgres, err);
    PQsetNoticeReceiver(postgres->link, ignore_notice, NULL);
    PQsetnonblocking(postgres->link, 1);
    postgres->compare_ms = 0;
    if (postgres_execute(postgres, session, err) < 0 || postgres_ask(postgres, life, &postgres->life, err) < 0)
        return -1;
    return postgres_compare_clocks(postgres, err);
}

int postgres_connect(struct postgres *postgres, struct error *err)
{
    if (postgres->link && PQstatus(postgres->link) == CONNECTION_OK)
        return 0;
    int64_t now = clock_monotonic_ms();
    if (now < postgres->again_ms) {
        error_set(err, ERROR_STORE, "database %s: it could not be reached a moment ago", postgres->place);
        return error_retry(err, postgres->again_ms - now);
    }
    postgres_drop(postgres);
    if (start_session(postgres, err) < 0) {
        postgres->again_ms = clock_monotonic_ms() + pause_after(postgres->failures++);
        postgres_drop(postgres);
        return -1;
    }
    postgres->again_ms = 0;
    postgres->failures = 0;
    postgres->number++;
    return 0;
}

void postgres_drop(struct postgres *postgres)
{
    PQfinish(postgres->link);
    postgres->link = NULL;
    memset(postgres->listening, 0, sizeof postgres->listening);
}
