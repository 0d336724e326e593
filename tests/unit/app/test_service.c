/* Stopping, restarting and changing a running `assay serve`: nothing is refused, and a wrong configuration changes
 * nothing. */
#include "serve_fixture.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { WAIT_MS = 15000 };

static void listen_for_it(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(world->listener > STDERR_FILENO);
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(world->listener, 128), 0);
}

static void stop_serve(struct world *world)
{
    int status = -1;
    kill(world->pid, SIGTERM);
    assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
    world->pid = 0;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Delivers one after the other until something is written to `stop`; then says how many, each of them accepted. */
static pid_t deliver_meanwhile(const struct world *world, int stop, int report)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct pollfd stopped = {.fd = stop, .events = POLLIN};
    int count = 0;
    for (; poll(&stopped, 1, 0) == 0; count++) {
        AUTO_FREE char *id = text_format("meanwhile-%d", count);
        if (deliver(world, id) != 202)
            _exit(1);
    }
    _exit(write(report, &count, sizeof count) == (ssize_t)sizeof count ? 0 : 1);
}

static int64_t stored_deliveries(const struct world *world)
{
    AUTO_FREE char *url = text_format("sqlite://%s/state/assay.db", world->folder);
    struct store *store = store_open(url, NULL);
    json_auto_t *status = store ? store_status(store, NULL) : NULL;
    int64_t sum = 0;
    const char *state;
    json_t *count;
    json_object_foreach (json_object_get(status, "deliveries"), state, count)
        sum += json_integer_value(count);
    store_close(store);
    return sum;
}

static void wait_for_more_than(const struct world *world, int64_t count)
{
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    while (stored_deliveries(world) <= count && clock_monotonic_ms() < end)
        clock_sleep_ms(20);
    assert_true(stored_deliveries(world) > count);
}

static void restarts_under_load_refuse_no_delivery(void **state)
{
    struct world *world = *state;
    need_program(world);
    int report[2];
    int stop[2];
    int status = -1;
    int count = 0;
    assert_int_equal(pipe2(report, O_CLOEXEC), 0);
    assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
    listen_for_it(world);
    start_serve(world);
    pid_t pid = deliver_meanwhile(world, stop[0], report[1]);
    for (int i = 0; i < 2; i++) { /* the client always has one under way */
        wait_for_more_than(world, stored_deliveries(world));
        stop_serve(world);
        start_serve(world);
    }
    wait_for_more_than(world, stored_deliveries(world));
    assert_int_equal(write(stop[1], "", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(report[0], &count, sizeof count), sizeof count);
    assert_int_equal(stored_deliveries(world), count);
    for (int i = 0; i < 2; i++) {
        close(report[i]);
        close(stop[i]);
    }
}

static bool log_says_within(const struct world *world, const char *words, int64_t ms)
{
    AUTO_FREE char *path = text_format("%s/log", world->folder);
    for (int64_t end = clock_monotonic_ms() + ms; clock_monotonic_ms() < end; clock_sleep_ms(20)) {
        AUTO_BUF struct buf text = BUF_INIT(MiB(1));
        if (fs_read(path, &text, NULL) == 0 && strstr(buf_text(&text), words))
            return true;
    }
    return false;
}

static void change_config(const struct world *world, const char *from, const char *to)
{
    AUTO_BUF struct buf text = BUF_INIT(KiB(64));
    assert_int_equal(fs_read(world->config, &text, NULL), 0);
    char *at = strstr(buf_text(&text), from);
    assert_non_null(at);
    AUTO_FREE char *changed = text_format("%.*s%s%s", (int)(at - text.data), text.data, to, at + strlen(from));
    assert_int_equal(fs_write_atomic(world->config, changed, strlen(changed), 0600, NULL), 0);
}

static void a_hangup_puts_a_new_configuration_in_force_and_refuses_nothing(void **state)
{
    struct world *world = *state;
    need_program(world);
    start_serve(world);
    assert_int_equal(request(world, "POST", "/webhooks/second", "", ARGS("Content-Type: application/json")), 404);
    change_config(world, "name: github,", "name: second,");
    kill(world->pid, SIGHUP);
    int64_t end = clock_monotonic_ms() + WAIT_MS;
    long status = 404;
    while (status == 404 && clock_monotonic_ms() < end)
        status = request(world, "POST", "/webhooks/second", "", ARGS("Content-Type: application/json"));
    assert_int_equal(status, 401); /* it is known now; the signature is missing */
    assert_int_equal(deliver(world, "gone"), 404);
    pid_t pids[8];
    while (children_of(world->pid, NULL, pids, 8) != 4 && clock_monotonic_ms() < end)
        clock_sleep_ms(20);
    assert_int_equal(children_of(world->pid, NULL, pids, 8), 4);
    stop_serve(world);
}

static void a_wrong_configuration_is_named_and_the_old_one_stays(void **state)
{
    struct world *world = *state;
    need_program(world);
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"models:", "workers: none\nmodels:", "workers"},
        {"workers: none\n", "nonsense: 1\n", "nonsense"},
        {"nonsense: 1\n", "database: sqlite:///tmp/elsewhere.db\n", "database: it changes at a restart only"},
    };
    start_serve(world);
    pid_t before = 0;
    pid_t after = 0;
    assert_int_equal(children_of(world->pid, "dispatch", &before, 1), 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        change_config(world, cases[i].from, cases[i].to);
        kill(world->pid, SIGHUP);
        assert_true(log_says_within(world, cases[i].says, WAIT_MS));
    }
    assert_true(log_says_within(world, "assay.yml:6: ", 1000)); /* the line, too */
    assert_true(log_says_within(world, "what was read before stays in force", 1000));
    assert_int_equal(children_of(world->pid, "dispatch", &after, 1), 1);
    assert_int_equal(after, before);
    /* Nor does a process that is started again read the wrong file. */
    kill(before, SIGKILL);
    for (int i = 0; i < 300 && (children_of(world->pid, "dispatch", &after, 1) != 1 || after == before); i++)
        clock_sleep_ms(20);
    assert_int_not_equal(after, before);
    assert_int_equal(deliver(world, "after-all"), 202);
    stop_serve(world);
}

/* Reads what serve tells until one message has `words`. */
static bool hears(int fd, const char *words)
{
    struct timeval patience = {.tv_sec = WAIT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char text[512];
    for (int i = 0; i < 100; i++) {
        ssize_t got = recv(fd, text, sizeof text - 1, 0);
        if (got <= 0)
            return false;
        text[got] = '\0';
        if (strstr(text, words))
            return true;
    }
    return false;
}

static void the_service_manager_hears_of_each_step(void **state)
{
    struct world *world = *state;
    need_program(world);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    world->notify = text_format("%s/notify", world->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", world->notify);
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    start_serve(world);
    assert_true(hears(fd, "READY=1"));
    assert_true(hears(fd, "WATCHDOG=1"));
    assert_true(hears(fd, "WATCHDOG=1"));
    kill(world->pid, SIGHUP);
    assert_true(hears(fd, "RELOADING=1\nMONOTONIC_USEC="));
    assert_true(hears(fd, "READY=1"));
    stop_serve(world);
    assert_true(hears(fd, "STOPPING=1"));
}

#define SERVE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVE_TEST(restarts_under_load_refuse_no_delivery),
        SERVE_TEST(a_hangup_puts_a_new_configuration_in_force_and_refuses_nothing),
        SERVE_TEST(a_wrong_configuration_is_named_and_the_old_one_stays),
        SERVE_TEST(the_service_manager_hears_of_each_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
