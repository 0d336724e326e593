/* Which implementations and tests agree with each other.
 *
 * Implementations that were written independently and yet behave the same are rarely wrong in the same way, and so are
 * tests that many of them pass. The witness wins that passes most of the request's own examples, and among those the
 * one that does what most others do on most inputs (Shi et al. 2022, "Natural Language to Code Translation with
 * Execution": MBR-exec); where nothing but the tests can be seen, the one whose group has the largest product of
 * members and tests passed (Chen et al. 2022, "CodeT: Code Generation with Generated Tests"). Pure: knows no model and
 * no sandbox.
 */
#ifndef PIPELINE_AGREEMENT_H
#define PIPELINE_AGREEMENT_H

#include <stdbool.h>
#include <stddef.h>

enum { AGREEMENT_MAX_WITNESSES = 16 };

struct agreement_view {
    size_t witnesses, tests;
    size_t inputs;       /* other inputs on which they were seen; 0: that cannot be seen */
    const bool *passed;  /* witnesses × tests, one witness after the other */
    const bool *trusted; /* for each test: made from an example of the request */
    const size_t *alike; /* witnesses × witnesses: on how many of the inputs do both do the same? */
};

struct agreement {
    size_t chosen;         /* the witness that wins */
    size_t members;        /* witnesses that behave like it, and itself: the group */
    size_t rivals;         /* witnesses outside it that pass as many of the request's examples */
    size_t trusted_passed; /* examples that the group passes */
    size_t others_passed;  /* tests of a model that the group passes */
};

/* Do both pass the same tests, and do the same on nine in ten of the inputs? What the request does not decide may be
 * treated differently. */
bool agreement_same(const struct agreement_view *view, size_t a, size_t b);

/* With at least one witness and at most AGREEMENT_MAX_WITNESSES. */
struct agreement agreement_find(const struct agreement_view *view);

/* Several agree, and they are most of all that were asked, also of those that break an example: enough to rely on. */
bool agreement_is_clear(const struct agreement *agreement, size_t witnesses);

/* Does the group contradict this test: a model's test that it fails, as do most of those that keep as many of the
 * request's examples (or a group of two or more, which is no accident)? */
bool agreement_contradicts(const struct agreement_view *view, const struct agreement *agreement, size_t test);

/* There are two examples of the request or more, one witness at least keeps them all, and nobody passes this test:
 * neither anyone who keeps them, if these are three or more, nor else anyone of three or more. */
bool agreement_nobody_passes(const struct agreement_view *view, size_t test);

#endif
