/* A GitHub that follows a script: a forked process on loopback that expects these requests, in this order, and
 * nothing else. A request that differs is printed and fails the test in script_server_stop(). */
#ifndef TESTS_SCRIPT_SERVER_H
#define TESTS_SCRIPT_SERVER_H

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "forge/forge.h"

struct exchange {
    const char *request; /* "GET /path?query" */
    const char *headers; /* lines that must be there, separated by \n; a line that starts with '!' must not; or NULL */
    const char *body;    /* the JSON that must come; NULL: no body; "*": any */
    int status;          /* 0: the connection is dropped without an answer */
    const char *answers; /* header lines of the answer, each ending in \r\n; {url} is this server; or NULL */
    const char *reply;   /* the body, or NULL */
};

struct script_server {
    int listener, stop; /* closing `stop` tells the child that the test is over */
    pid_t pid;
    char url[64];
};

static inline bool script_read(int fd, char *text, size_t size)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, text + len, size - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        text[len] = '\0';
        char *end = strstr(text, "\r\n\r\n");
        if (!end)
            continue;
        char *length = strcasestr(text, "\r\nContent-Length:");
        size_t need = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
        if (len >= (size_t)(end + 4 - text) + need)
            return true;
    }
}

static inline bool script_has_line(const char *head, const char *line, size_t len)
{
    for (const char *at = strstr(head, "\r\n"); at; at = strstr(at + 2, "\r\n"))
        if (!strncasecmp(at + 2, line, len) && (at[2 + len] == '\r' || line[len - 1] == ':'))
            return true;
    return false;
}

static inline bool script_matches(const struct exchange *expected, char *text)
{
    char *end = strstr(text, "\r\n\r\n");
    const char *body = end + 4;
    end[2] = '\0';
    size_t len = strlen(expected->request);
    if (strncmp(text, expected->request, len) != 0 || strncmp(text + len, " HTTP/1.1\r\n", 11) != 0)
        return false;
    for (const char *line = expected->headers; line && *line;) {
        size_t size = strcspn(line, "\n");
        bool absent = *line == '!';
        if (script_has_line(text, line + absent, size - absent) == absent) {
            fprintf(stderr, "header: %.*s\n", (int)size, line);
            return false;
        }
        line += size + (line[size] == '\n');
    }
    if (!expected->body)
        return !*body;
    if (!strcmp(expected->body, "*"))
        return true;
    json_auto_t *want = json_loads(expected->body, 0, NULL), *got = json_loads(body, 0, NULL);
    return want && got && json_equal(want, got);
}

static inline void script_answer(int fd, const struct exchange *step, const char *url)
{
    const char *reply = step->reply ? step->reply : "", *answers = step->answers ? step->answers : "";
    const char *hole = strstr(answers, "{url}");
    size_t before = hole ? (size_t)(hole - answers) : strlen(answers);
    dprintf(fd, "HTTP/1.1 %d Scripted\r\nConnection: close\r\nContent-Length: %zu\r\n%.*s%s%s\r\n%s", step->status,
            step->status == 304 ? 0 : strlen(reply), (int)before, answers, hole ? url : "", hole ? hole + 5 : "",
            reply);
}

static inline int script_follow(const struct script_server *server, int stop, const struct exchange *script,
                                size_t count)
{
    static char text[1 << 20];
    for (size_t i = 0;; i++) {
        struct pollfd fds[] = {{.fd = server->listener, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
        poll(fds, 2, 30000);
        if (!(fds[0].revents & POLLIN)) {
            if (i < count)
                fprintf(stderr, "never came: %s\n", script[i].request);
            return i < count;
        }
        int fd = accept(server->listener, NULL, NULL);
        if (!script_read(fd, text, sizeof text))
            return 1;
        char *copy = strdup(text);
        if (i >= count || !script_matches(&script[i], text)) {
            fprintf(stderr, "expected: %s %s\ngot: %s\n", i < count ? script[i].request : "nothing",
                    i < count && script[i].body ? script[i].body : "", copy);
            return 1;
        }
        free(copy);
        if (script[i].status)
            script_answer(fd, &script[i], server->url);
        close(fd);
    }
}

static inline struct script_server script_server_start(const struct exchange *script, size_t count)
{
    struct script_server server = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int ends[2];
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.listener, 16), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pipe(ends), 0);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (!server.pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
        close(ends[1]);
        _exit(script_follow(&server, ends[0], script, count));
    }
    close(server.listener);
    close(ends[0]);
    server.stop = ends[1];
    return server;
}

/* Every request of the script came, and no other. */
static inline void script_server_stop(struct script_server *server)
{
    int status = 0;
    close(server->stop);
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define SCRIPT_START(script) script_server_start(script, sizeof(script) / sizeof((script)[0]))

/* A forge that speaks to the script with the token "t0ken-for-tests". */
struct script_forge {
    struct script_server server;
    struct forge_config config;
    struct secrets *secrets;
    struct log log;
    FILE *log_file;
    struct forge *forge;
};

static inline void script_forge_open(struct script_forge *it, const struct exchange *script, size_t count)
{
    setenv("ASSAY_TEST_TOKEN", "t0ken-for-tests", 1);
    it->server = script_server_start(script, count);
    it->config.name = "github";
    it->config.api_url = it->server.url;
    it->config.git_url = it->server.url;
    if (!it->config.app_id)
        it->config.token = "env:ASSAY_TEST_TOKEN";
    it->secrets = secrets_new();
    it->log_file = tmpfile();
    it->log = (struct log){.fd = fileno(it->log_file), .level = LOG_DEBUG, .component = "test"};
    struct error err = {0};
    it->forge = forge_new(&it->config, it->secrets, &it->log, &err);
    if (!it->forge)
        fail_msg("%s", err.message);
}

#define SCRIPT_FORGE(it, script) script_forge_open(it, script, sizeof(script) / sizeof((script)[0]))

static inline void script_forge_close(struct script_forge *it)
{
    forge_free(it->forge);
    secrets_free(it->secrets);
    fclose(it->log_file);
    script_server_stop(&it->server);
}

/* How often the log says this. */
static inline int script_logged(struct script_forge *it, const char *words)
{
    static char text[1 << 16];
    rewind(it->log_file);
    text[fread(text, 1, sizeof text - 1, it->log_file)] = '\0';
    int count = 0;
    for (const char *at = text; (at = strstr(at, words)); at++)
        count++;
    return count;
}

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        if ((call) != 0)                                                                                               \
            fail_msg("%s: %s", #call, err.message);                                                                    \
    } while (0)

#define assert_said(err, words)                                                                                        \
    do {                                                                                                               \
        if (!strstr((err).message, words))                                                                             \
            fail_msg("\"%s\" does not say \"%s\"", (err).message, words);                                              \
    } while (0)

#endif
