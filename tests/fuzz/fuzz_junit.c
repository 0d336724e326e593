/* Any bytes as a test report: read whole or refused, with counts that add up and texts within their caps. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct test_case *test)
{
    if (strpbrk(test->message, "\r\n") || strlen(test->message) > 1000 || strlen(test->details) > 16 * 1024 ||
        test->elapsed_ms < 0 || !test->file || !test->suite || !test->name || strpbrk(test->exception, " \n"))
        abort();
    if (test->status == TEST_PASSED && (*test->message || *test->details || *test->exception))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct test_report report = {0};
    struct error err = {0};
    if (report_read("junit", (const char *)data, size, &report, &err) < 0) {
        if ((err.code != ERROR_INPUT && err.code != ERROR_LIMIT) || report.cases)
            abort();
        return 0;
    }
    if (report.passed + report.failed + report.errored + report.skipped != report.count)
        abort();
    for (size_t i = 0; i < report.count; i++)
        check(&report.cases[i]);
    report_release(&report);
    return 0;
}
