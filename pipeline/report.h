/* Test reports as one shape, whatever wrote them. */
#ifndef PIPELINE_REPORT_H
#define PIPELINE_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "app/base/error.h"

enum test_status { TEST_PASSED, TEST_FAILED, TEST_ERRORED, TEST_SKIPPED };

struct test_case {
    char *file;  /* relative path, "" when the report does not say */
    char *suite; /* class or module: "tests.test_slug", "tests.test_slug.TestSlug" */
    char *name;  /* "test_example_1", with parameters in brackets */
    enum test_status status;
    char *message; /* one line: the assertion or error; "" when it passed */
    char *details; /* traceback and captured output, at most 16 KiB; "" when it passed */
    int64_t elapsed_ms;
    char *exception; /* the error's type where the report shows it ("ImportError"), "" otherwise */
};

struct test_report {
    struct test_case *cases;
    size_t count, passed, failed, errored, skipped;
};

/* Reads JUnit XML (pytest's dialect and the common one) with libxml2: no network, no entities, no DTD. A report that is
 * cut or broken is ERROR_INPUT. */
int report_read_junit(const char *xml, size_t len, struct test_report *out, struct error *err);

/* By the language table's format name: "junit". ERROR_CONFIG for an unknown one. */
int report_read(const char *format, const char *text, size_t len, struct test_report *out, struct error *err);
void report_release(struct test_report *report);

#endif
