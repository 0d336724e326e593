/* Which implementations and tests agree with each other (Chen et al. 2022, "CodeT: Code Generation with Generated
 * Tests": dual execution agreement).
 *
 * Implementations that were written independently and yet behave the same are rarely wrong in the same way, and so are
 * tests that many of them pass. Witnesses that behave the same form a group; the group wins that passes most of the
 * request's own examples, and among those the one with the largest product of members and tests passed. Pure: knows no
 * model and no sandbox.
 */
#ifndef PIPELINE_AGREEMENT_H
#define PIPELINE_AGREEMENT_H

#include <stdbool.h>
#include <stddef.h>

enum { AGREEMENT_MAX_WITNESSES = 16 };

struct agreement_view {
    size_t witnesses, tests;
    const bool *passed;  /* witnesses × tests, one witness after the other */
    const bool *trusted; /* for each test: made from an example of the request */
    const bool *alike;   /* witnesses × witnesses: do they do the same on other inputs, too? */
};

struct agreement {
    size_t chosen;         /* the group's earliest witness */
    size_t members;        /* witnesses in the winning group */
    size_t rivals;         /* witnesses outside it that pass as many of the request's examples */
    size_t trusted_passed; /* examples that the group passes */
    size_t others_passed;  /* tests of a model that the group passes */
};

/* With at least one witness and at most AGREEMENT_MAX_WITNESSES. */
struct agreement agreement_find(const struct agreement_view *view);

/* Several agree, and they are most of all that were asked, also of those that break an example: enough to rely on. */
bool agreement_is_clear(const struct agreement *agreement, size_t witnesses);

/* Does the group contradict this test: a model's test that it fails, as do most of those that keep as many of the
 * request's examples (or a group of two or more, which is no accident)? */
bool agreement_contradicts(const struct agreement_view *view, const struct agreement *agreement, size_t test);

#endif
