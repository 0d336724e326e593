/* For the tests of the HTTP client only: small real servers on loopback, each of which may misbehave in its own way. */
#ifndef TESTS_UNIT_BASE_HTTP_SERVER_H
#define TESTS_UNIT_BASE_HTTP_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/base/clock.h"
#include "app/base/http.h"

enum { SECONDS = 1000 };

/* What the server process has seen, in memory shared with the test. */
struct seen {
    int connections;
    char request[16 * 1024]; /* the last one, head and body */
};

struct server {
    pid_t pid;
    int port;
    struct seen *seen;
    char url[64];
};

/* Answers one connection; `n` counts from 1. */
typedef void answer(int fd, int n, struct seen *seen, int port);

static inline void say(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t put = send(fd, text, len, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        text += put;
        len -= (size_t)put;
    }
}

/* Reads head and body; the body's length must be given by Content-Length. */
static inline void hear(int fd, struct seen *seen)
{
    size_t len = 0;
    size_t need = SIZE_MAX;
    while (len < need && len < sizeof seen->request - 1) {
        ssize_t got = recv(fd, seen->request + len, sizeof seen->request - 1 - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
        seen->request[len] = '\0';
        const char *end = strstr(seen->request, "\r\n\r\n");
        const char *length = strcasestr(seen->request, "\r\nContent-Length:");
        if (end)
            need = (size_t)(end + 4 - seen->request) + (length ? strtoul(length + 17, NULL, 10) : 0);
    }
}

static inline struct server start(answer *answer_one)
{
    struct server server = {
        .seen = mmap(NULL, sizeof(struct seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(listen(listener, 16), 0);
    server.port = ntohs(address.sin_port);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", server.port);
    server.pid = answer_one ? fork() : 0;
    if (answer_one && server.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            server.seen->connections++;
            answer_one(fd, server.seen->connections, server.seen, server.port);
            shutdown(fd, SHUT_WR);
            close(fd);
        }
    }
    close(listener);
    return server;
}

static inline void stop(struct server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    munmap(server->seen, sizeof *server->seen);
}

/* One call to `path` of the server; the rest of the request is as given. */
static inline int call(const struct server *server, const char *path, struct http_request request,
                       struct http_response *response, struct error *err)
{
    struct http_client *client = http_client_new("assay-test", err);
    assert_non_null(client);
    AUTO_FREE char *url = text_format("%s%s", server->url, path);
    request.url = url;
    if (!request.method)
        request.method = "GET";
    int result = http_send(client, &request, response, err);
    http_client_free(client);
    return result;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n"

/* The call has to fail with this code, and leave the response alone. */
static inline struct error assert_fails(const struct server *server, const char *path, struct http_request request,
                                        enum error_code code)
{
    struct http_response response = {.status = 77};
    struct error err = {0};
    assert_int_equal(call(server, path, request, &response, &err), -1);
    if (err.code != code)
        fail_msg("%s: %s", error_code_name(err.code), err.message);
    assert_int_equal(response.status, 77);
    assert_null(response.body.data);
    assert_null(strstr(err.message, "token"));
    return err;
}

/* ---- servers that several files need ---- */

static inline void silent(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    clock_sleep_ms(60 * SECONDS);
}

static inline void endless(int fd, int n, struct seen *seen, int port)
{
    char block[16 * 1024];
    (void)n, (void)port;
    memset(block, 'x', sizeof block);
    hear(fd, seen);
    say(fd, OK_HEAD "\r\n");
    while (send(fd, block, sizeof block, MSG_NOSIGNAL) > 0)
        ;
}

static inline void half(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, OK_HEAD "Content-Length: 100\r\n\r\nonly this");
}

static inline void fail_with(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, "HTTP/1.1 422 Unprocessable\r\nConnection: close\r\n\r\nreason");
}

static inline void trickle(int fd, int n, struct seen *seen, int port)
{
    (void)n, (void)port;
    hear(fd, seen);
    say(fd, OK_HEAD "\r\n");
    for (int i = 0; i < 200; i++) {
        clock_sleep_ms(50);
        say(fd, "x");
    }
}

#endif
