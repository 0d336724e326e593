/* Where `server.listen` listens, and what is said when it cannot. */
#include "store_fixture.h"

#include "app/listener.h"

static void addresses_are_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *address, *url; /* NULL: refused; a prefix */
    } cases[] = {
        {"127.0.0.1:0", "http://127.0.0.1:"},
        {"localhost:0", "http://"},
        {":0", "http://"},
        {"127.0.0.1", NULL},
        {"127.0.0.1:http", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:99999", NULL},
        {"::1:3000", NULL},
        {"192.0.2.1:0", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        AUTO_FREE char *url = NULL;
        AUTO_CLOSE int fd = listener_open(cases[i].address, &url, &err);
        if ((fd >= 0) != (cases[i].url != NULL))
            fail_msg("%s: %s", cases[i].address, err.message);
        if (fd >= 0)
            assert_int_equal(strncmp(url, cases[i].url, strlen(cases[i].url)), 0);
        else
            assert_int_equal(err.code, ERROR_CONFIG);
    }
}

static void a_port_in_use_is_said_to_be(void **state)
{
    (void)state;
    struct error err = {0};
    AUTO_FREE char *url = NULL;
    AUTO_FREE char *again = NULL;
    AUTO_CLOSE int fd = listener_open("127.0.0.1:0", &url, &err);
    NEEDS(fd, &err);
    assert_int_equal(listener_open(url + strlen("http://"), &again, &err), -1);
    assert_non_null(strstr(err.message, "another program listens there"));
    assert_null(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_host_and_port),
        cmocka_unit_test(a_port_in_use_is_said_to_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
