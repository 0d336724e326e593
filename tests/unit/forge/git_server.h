/* Git over HTTP on loopback: a forked process that hands each request to `git http-backend`, after checking the
 * credentials. Some addresses misbehave: /html/… answers with a login page, /silent/… never answers, /away/… redirects
 * to another port, /moved/… redirects to the same repository on the same host. */
#ifndef TESTS_GIT_SERVER_H
#define TESTS_GIT_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/forge/git_fixture.h"

/* printf x-access-token:t0ken-for-tests | base64 */
#define GIT_SERVER_TOKEN "t0ken-for-tests"
#define GIT_SERVER_BASIC "eC1hY2Nlc3MtdG9rZW46dDBrZW4tZm9yLXRlc3Rz"

struct git_server {
    pid_t pid;
    char url[64];
};

struct git_request {
    char head[16384], method[8], path[512], query[256], type[128];
    const char *body; /* what came with the head */
    size_t body_len, length;
    bool authorized;
};

static inline bool git_server_read(int fd, struct git_request *request)
{
    size_t len = 0;
    char *end = NULL;
    while (!end) {
        ssize_t n = read(fd, request->head + len, sizeof request->head - 1 - len);
        if (n <= 0)
            return false;
        len += (size_t)n;
        request->head[len] = '\0';
        end = strstr(request->head, "\r\n\r\n");
    }
    char *length = strcasestr(request->head, "\r\nContent-Length:");
    char *type = strcasestr(request->head, "\r\nContent-Type:");
    request->length = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (type && type < end)
        sscanf(type + 15, " %127[^\r]", request->type);
    request->authorized = strstr(request->head, "\r\nAuthorization: Basic " GIT_SERVER_BASIC "\r\n");
    request->body = end + 4;
    request->body_len = len - (size_t)(end + 4 - request->head);
    char target[800] = "";
    if (sscanf(request->head, "%7s %799s", request->method, target) != 2)
        return false;
    char *query = strchr(target, '?');
    snprintf(request->query, sizeof request->query, "%s", query ? query + 1 : "");
    if (query)
        *query = '\0';
    snprintf(request->path, sizeof request->path, "%.500s", target);
    return true;
}

/* The program writes "Status: 403 …" or other header lines, then the body. */
static inline void git_server_backend(int fd, const char *root, const struct git_request *request)
{
    int in[2], out[2];
    if (pipe(in) < 0 || pipe(out) < 0)
        _exit(1);
    if (!fork()) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        char length[32];
        snprintf(length, sizeof length, "%zu", request->length);
        setenv("GIT_PROJECT_ROOT", root, 1);
        setenv("GIT_HTTP_EXPORT_ALL", "1", 1);
        setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
        setenv("PATH_INFO", request->path, 1);
        setenv("QUERY_STRING", request->query, 1);
        setenv("REQUEST_METHOD", request->method, 1);
        setenv("CONTENT_TYPE", request->type, 1);
        setenv("CONTENT_LENGTH", length, 1);
        setenv("REMOTE_USER", "bot", 1);
        execl("/usr/bin/git", "git", "http-backend", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    if (!fork()) {
        char chunk[65536];
        size_t left = request->length - request->body_len;
        bool well = write(in[1], request->body, request->body_len) == (ssize_t)request->body_len;
        while (well && left > 0) {
            ssize_t n = read(fd, chunk, left < sizeof chunk ? left : sizeof chunk);
            well = n > 0 && write(in[1], chunk, (size_t)n) == n;
            left -= n > 0 ? (size_t)n : 0;
        }
        _exit(0);
    }
    close(in[1]);
    FILE *answer = fdopen(out[0], "r");
    char line[1024], status[64] = "200 OK";
    AUTO_BUF struct buf head = BUF_INIT(KiB(8));
    while (fgets(line, sizeof line, answer) && strcmp(line, "\r\n") != 0)
        if (sscanf(line, "Status: %63[^\r]", status) != 1)
            buf_puts(&head, line);
    dprintf(fd, "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n", status, buf_text(&head));
    size_t n;
    while ((n = fread(line, 1, sizeof line, answer)) > 0)
        if (write(fd, line, n) < 0)
            break;
    fclose(answer);
    while (wait(NULL) > 0)
        ;
}

static inline void git_server_handle(int fd, const char *root)
{
    static struct git_request request;
    if (!git_server_read(fd, &request))
        _exit(1);
    static const char page[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    static const char denied[] = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    if (!strncmp(request.path, "/silent/", 8))
        sleep(60);
    else if (!strncmp(request.path, "/html/", 6))
        dprintf(fd, "%s", page);
    else if (!strncmp(request.path, "/away/", 6))
        dprintf(fd, "HTTP/1.1 302 Away\r\nLocation: http://127.0.0.1:9%s\r\nContent-Length: 0\r\n\r\n", request.path);
    else if (!strncmp(request.path, "/moved/", 7))
        dprintf(fd, "HTTP/1.1 301 Moved\r\nLocation: %s?%s\r\nContent-Length: 0\r\n\r\n", request.path + 6,
                request.query);
    else if (!request.authorized)
        dprintf(fd, "%s", denied);
    else
        git_server_backend(fd, root, &request);
    _exit(0);
}

static inline struct git_server git_server_start(const char *root)
{
    struct git_server server;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    server.pid = fork();
    if (!server.pid) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nothing behind */
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            if (!fork()) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGCHLD, SIG_DFL);
                git_server_handle(fd, root);
            }
            close(fd);
        }
    }
    setpgid(server.pid, server.pid);
    close(listener);
    return server;
}

static inline void git_server_stop(struct git_server *server)
{
    kill(-server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

#endif
