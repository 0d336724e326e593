/* A private PostgreSQL by tests/postgres, which ends with this process at the latest. */
#ifndef TESTS_UNIT_APP_POSTGRES_FIXTURE_H
#define TESTS_UNIT_APP_POSTGRES_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "app/base/buf.h"

struct postgres_server {
    char url[256];
    FILE *commands, *answers;
    pid_t pid;
};

static inline void postgres_run_script(int commands[2], int answers[2], const char *option)
{
    dup2(commands[0], STDIN_FILENO);
    dup2(answers[1], STDOUT_FILENO);
    for (int i = 0; i < 2; i++) {
        close(commands[i]);
        close(answers[i]);
    }
    execl("tests/postgres", "tests/postgres", option, (char *)NULL);
    _exit(127);
}

/* The tests run from the top of the tree. False when there is no PostgreSQL here; fails when it does not start, or when
 * ASSAY_NEEDS_POSTGRES (set in CI) says that it has to be here. `option`: "fsync" or NULL. */
static inline bool postgres_start(struct postgres_server *server, const char *option)
{
    int commands[2];
    int answers[2];
    assert_int_equal(pipe(commands), 0);
    assert_int_equal(pipe(answers), 0);
    *server = (struct postgres_server){.pid = fork()};
    if (server->pid == 0)
        postgres_run_script(commands, answers, option);
    close(commands[0]);
    close(answers[1]);
    for (int i = 0; i < 2; i++) { /* programs that a test starts must not keep the server alive */
        fcntl(i ? answers[0] : commands[1], F_SETFD, FD_CLOEXEC);
    }
    server->commands = fdopen(commands[1], "w");
    server->answers = fdopen(answers[0], "r");
    if (fgets(server->url, sizeof server->url, server->answers)) {
        server->url[strcspn(server->url, "\n")] = '\0';
        return true;
    }
    int status = 0;
    waitpid(server->pid, &status, 0);
    fclose(server->commands);
    fclose(server->answers);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 77 || getenv("ASSAY_NEEDS_POSTGRES"))
        fail_msg("tests/postgres did not start a server (status %d)", status);
    return false;
}

/* "kill", "stop", "start". */
static inline void postgres_say(struct postgres_server *server, const char *command)
{
    char answer[64] = "";
    fprintf(server->commands, "%s\n", command);
    fflush(server->commands);
    if (!fgets(answer, sizeof answer, server->answers) || strcmp(answer, "done\n") != 0)
        fail_msg("tests/postgres: %s: %s", command, answer);
}

static inline void postgres_end(struct postgres_server *server)
{
    fclose(server->commands);
    waitpid(server->pid, NULL, 0);
    fclose(server->answers);
}

/* Runs SQL as an outsider; the first column of the first row as a number, or 0. */
static inline int64_t postgres_sql(const char *url, const char *sql)
{
    PGconn *link = PQconnectdb(url);
    PGresult *result = PQexec(link, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(link));
    int64_t value = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(link);
    return value;
}

/* The address of a schema that nobody else uses; heap. */
static inline char *postgres_new_schema(const char *url)
{
    static int number;
    AUTO_FREE char *sql = text_format("CREATE SCHEMA t%d_%d", (int)getpid(), ++number);
    postgres_sql(url, sql);
    return text_format("%s&options=-csearch_path%%3Dt%d_%d", url, (int)getpid(), number);
}

#endif
