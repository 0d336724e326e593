/* build/assay as a process with a configuration of its own, for tests that run `assay serve`. */
#ifndef TESTS_SERVE_FIXTURE_H
#define TESTS_SERVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/base/clock.h"
#include "app/base/digest.h"
#include "app/base/fs.h"
#include "app/base/http.h"
#include "app/store.h"

#define ARGS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
#define SECRET    "webhook-secret-of-the-test"

struct world {
    char *assay; /* the program */
    char *folder, *config, *url;
    pid_t pid;    /* of a running serve, or 0 */
    int listener; /* handed to serve as systemd does; 0: it makes its own */
    char *notify; /* NOTIFY_SOCKET of serve, or NULL */
};

/* $ASSAY_BINARY, or build/assay of the folder that holds build/tests/unit/app/test_serve. */
static char *find_program(void)
{
    char path[PATH_MAX] = "";
    const char *given = getenv("ASSAY_BINARY");
    if (given)
        return realpath(given, NULL);
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
        return NULL;
    for (int i = 0; i < 4 && strrchr(path, '/'); i++)
        *strrchr(path, '/') = '\0';
    AUTO_FREE char *program = text_format("%s/assay", path);
    return realpath(program, NULL);
}

static void write_file(const struct world *world, const char *name, const char *text)
{
    AUTO_FREE char *path = text_format("%s/%s", world->folder, name);
    assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->assay = find_program();
    world->folder = fs_make_temp_dir("/tmp", "assay-serve-", NULL);
    assert_non_null(world->folder);
    world->config = text_format("%s/assay.yml", world->folder);
    AUTO_FREE char *text = text_format(
        "server: {listen: \"127.0.0.1:0\"}\n"
        "state_dir: %s/state\n"
        "forges:\n"
        "  - {name: github, kind: github, api_url: \"http://127.0.0.1:9\", git_url: \"http://127.0.0.1:9\",\n"
        "     token: \"file:%s/token\", webhook_secret: \"file:%s/secret\"}\n"
        "models:\n"
        "  - {name: local, kind: openai, base_url: \"http://127.0.0.1:9/v1\", model: none}\n",
        world->folder, world->folder, world->folder);
    write_file(world, "assay.yml", text);
    write_file(world, "token", "token-of-the-test\n");
    write_file(world, "secret", SECRET "\n");
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    if (world->pid) {
        kill(world->pid, SIGKILL);
        waitpid(world->pid, NULL, 0);
    }
    fs_remove_tree(world->folder, NULL);
    free(world->assay);
    free(world->folder);
    free(world->config);
    free(world->url);
    free(world->notify);
    if (world->listener)
        close(world->listener);
    free(world);
    return 0;
}

static void need_program(const struct world *world)
{
    if (world->assay)
        return;
    print_message("skipped: there is no build/assay; `make` builds it\n");
    skip();
}

_Noreturn static void become_serve(const struct world *world, const char *out, const char *log)
{
    char home[PATH_MAX];
    char pid[32];
    char notify[PATH_MAX];
    char *environment[8] = {(char *)"PATH=/usr/bin:/bin", (char *)"UNRELATED_KEY=not-for-the-receiver", home};
    char *const argv[] = {world->assay, (char *)"serve", (char *)"--config", world->config, NULL};
    size_t count = 3;
    snprintf(home, sizeof home, "HOME=%s", world->folder);
    if (world->listener) {
        snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
        environment[count++] = pid;
        environment[count++] = (char *)"LISTEN_FDS=1";
        if (world->listener != 3)
            dup2(world->listener, 3);
        fcntl(3, F_SETFD, 0);
    }
    if (world->notify) {
        snprintf(notify, sizeof notify, "NOTIFY_SOCKET=%s", world->notify);
        environment[count++] = notify;
        environment[count++] = (char *)"WATCHDOG_USEC=1000000";
    }
    if (freopen(out, "w", stdout) && freopen(log, "a", stderr))
        execve(world->assay, argv, environment);
    _exit(126);
}

static void start_serve(struct world *world)
{
    AUTO_FREE char *out = text_format("%s/out", world->folder);
    AUTO_FREE char *log = text_format("%s/log", world->folder);
    remove(out);
    world->pid = fork();
    if (world->pid == 0)
        become_serve(world, out, log);
    for (int i = 0; i < 1500; i++) {
        AUTO_BUF struct buf text = BUF_INIT(KiB(64));
        if (fs_read(out, &text, NULL) == 0 && text.len && text.data[text.len - 1] == '\n') {
            static const char start[] = "listening on ";
            assert_int_equal(strncmp(text.data, start, strlen(start)), 0);
            assert_non_null(strstr(text.data, " for /webhooks/github\n"));
            free(world->url);
            world->url = strndup(text.data + strlen(start), strcspn(text.data + strlen(start), " "));
            return;
        }
        clock_sleep_ms(20);
    }
    AUTO_BUF struct buf text = BUF_INIT(MiB(1));
    fs_read(log, &text, NULL);
    fail_msg("serve did not become ready: %s", buf_text(&text));
}

static long request(const struct world *world, const char *method, const char *path, const char *body,
                    const char *const *headers)
{
    struct error err = {0};
    AUTO_FREE char *url = text_format("%s%s", world->url, path);
    struct http_client *client = http_client_new("test", &err);
    struct http_response response = {0};
    const struct http_request sent = {.method = method,
                                      .url = url,
                                      .body = body,
                                      .body_len = body ? strlen(body) : 0,
                                      .headers = headers,
                                      .timeout_ms = 15000};
    if (http_send(client, &sent, &response, &err) < 0)
        fail_msg("%s", err.message);
    long status = response.status;
    http_response_release(&response);
    http_client_free(client);
    return status;
}

static long deliver(const struct world *world, const char *id)
{
    static const char body[] = "{\"zen\": \"Design for failure.\"}";
    char hex[DIGEST_HEX_SIZE];
    digest_hmac_sha256(SECRET, strlen(SECRET), body, strlen(body), hex);
    AUTO_FREE char *delivery = text_format("X-GitHub-Delivery: %s", id);
    AUTO_FREE char *signature = text_format("X-Hub-Signature-256: sha256=%s", hex);
    return request(world, "POST", "/webhooks/github", body,
                   ARGS("Content-Type: application/json", "X-GitHub-Event: ping", delivery, signature));
}

/* The pids of serve's children whose command line has `word` as its second word; how many. */
static size_t children_of(pid_t parent, const char *word, pid_t *pids, size_t max)
{
    size_t count = 0;
    AUTO_FREE char *path = text_format("/proc/%d/task/%d/children", (int)parent, (int)parent);
    AUTO_BUF struct buf text = BUF_INIT(KiB(4));
    if (fs_read(path, &text, NULL) < 0)
        return 0;
    char *at = text.data;
    for (long pid; at && (pid = strtol(at, &at, 10)) > 0;) {
        AUTO_FREE char *command = text_format("/proc/%ld/cmdline", pid);
        AUTO_BUF struct buf line = BUF_INIT(KiB(64));
        if (fs_read(command, &line, NULL) < 0 || line.len < 7)
            continue;
        if ((!word || strcmp(line.data + strlen(line.data) + 1, word) == 0) && count < max)
            pids[count++] = (pid_t)pid;
    }
    return count;
}

#endif
