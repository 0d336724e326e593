/* A model's server for tests: a process on loopback that answers each request by the next step of a script and keeps
 * what it was asked, so that a test can look at the exact request.
 */
#ifndef TESTS_UNIT_PIPELINE_MODEL_SERVER_H
#define TESTS_UNIT_PIPELINE_MODEL_SERVER_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"

struct step {
    const char *head; /* status line and headers without the last blank line; NULL: 200 with an event stream */
    const char *body;
    size_t piece;  /* bytes for each write; 0: all at once */
    size_t repeat; /* the body is sent so many times more */
    bool hang;     /* keep the connection open and silent afterwards */
    bool drop;     /* close without a word */
    int pause_ms;  /* before the answer */
};

struct server {
    pid_t pid;
    int port, record; /* record: a file of NUL-ended requests */
    char url[80];     /* http://127.0.0.1:PORT/v1 */
    char root[64];    /* http://127.0.0.1:PORT */
};

static inline void write_all(int fd, const char *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len;) {
        size_t want = piece && piece < len - at ? piece : len - at;
        ssize_t put = send(fd, data + at, want, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        at += (size_t)put;
        if (piece)
            usleep(200);
    }
}

/* Reads one request with its body; "" when the client went away. */
static inline void read_request(int fd, struct buf *request)
{
    char block[4096];
    for (;;) {
        const char *body = strstr(buf_text(request), "\r\n\r\n");
        const char *length = strcasestr(buf_text(request), "\r\nContent-Length: ");
        size_t want = length ? strtoul(length + 18, NULL, 10) : 0;
        if (body && request->len >= (size_t)(body + 4 - request->data) + want)
            return;
        ssize_t got = read(fd, block, sizeof block);
        if (got <= 0)
            return;
        buf_add(request, block, (size_t)got);
    }
}

static inline void play(int fd, const struct step *step)
{
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close";
    const char *head = step->head ? step->head : stream;
    if (step->drop)
        return;
    clock_sleep_ms(step->pause_ms);
    write_all(fd, head, strlen(head), 0);
    write_all(fd, "\r\n\r\n", 4, 0);
    for (size_t i = 0; step->body && i <= step->repeat; i++)
        write_all(fd, step->body, strlen(step->body), step->piece);
    if (step->hang)
        for (;;)
            pause();
}

/* Each connection is one request in a process of its own, so that one that hangs does not hold up the next. */
static inline _Noreturn void serve(int listener, int record, const struct step *steps, size_t count)
{
    static const struct step unscripted = {.head = "HTTP/1.1 418 unscripted\r\nConnection: close"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    for (size_t at = 0;; at++) {
        int fd = accept(listener, NULL, NULL), on = 1;
        struct buf request = BUF_INIT(MiB(4));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        read_request(fd, &request);
        if (write(record, buf_text(&request), request.len + 1) < 0)
            _exit(1);
        buf_release(&request);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            play(fd, at < count ? &steps[at] : &unscripted);
            _exit(0);
        }
        close(fd);
    }
}

static inline struct server server_start(const struct step *steps, size_t count)
{
    struct server server = {.record = memfd_create("requests", 0)};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&at, &len) < 0)
        abort();
    server.port = ntohs(at.sin_port);
    server.pid = fork();
    if (server.pid == 0)
        serve(listener, server.record, steps, count);
    close(listener);
    snprintf(server.root, sizeof server.root, "http://127.0.0.1:%d", server.port);
    snprintf(server.url, sizeof server.url, "%s/v1", server.root);
    return server;
}

static inline void server_stop(struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    close(server->record);
}

/* The n-th request's text, heap; NULL when there were not so many. */
static inline char *server_request(const struct server *server, size_t n)
{
    off_t len = lseek(server->record, 0, SEEK_END);
    AUTO_FREE char *all = calloc(1, (size_t)len + 1);
    if (!all || pread(server->record, all, (size_t)len, 0) != len)
        abort();
    for (char *at = all; at < all + len; at += strlen(at) + 1)
        if (n-- == 0)
            return strdup(at);
    return NULL;
}

static inline size_t server_requests(const struct server *server)
{
    size_t count = 0;
    for (char *text; (text = server_request(server, count)); count++)
        free(text);
    return count;
}

#endif
