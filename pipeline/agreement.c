#include "pipeline/agreement.h"

#include <string.h>

static bool passes(const struct agreement_view *view, size_t witness, size_t test)
{
    return view->passed[witness * view->tests + test];
}

bool agreement_same(const struct agreement_view *view, size_t a, size_t b)
{
    const bool *rows = view->passed;
    return a == b || (view->alike[a * view->witnesses + b] * 10 >= view->inputs * 9 &&
                      memcmp(rows + a * view->tests, rows + b * view->tests, view->tests * sizeof *rows) == 0);
}

static struct agreement group_of(const struct agreement_view *view, size_t witness)
{
    struct agreement group = {.chosen = witness};
    for (size_t other = 0; other < view->witnesses; other++)
        group.members += agreement_same(view, witness, other);
    for (size_t test = 0; test < view->tests; test++) {
        group.trusted_passed += passes(view, witness, test) && view->trusted[test];
        group.others_passed += passes(view, witness, test) && !view->trusted[test];
    }
    return group;
}

/* How often it does what another does. */
static size_t support_of(const struct agreement_view *view, size_t witness)
{
    size_t support = 0;
    for (size_t other = 0; other < view->witnesses; other++)
        support += view->alike[witness * view->witnesses + other];
    return support;
}

/* The examples come first: who breaks one is wrong, however many agree with it. */
static bool is_better(const struct agreement_view *view, const struct agreement *a, const struct agreement *b)
{
    if (a->trusted_passed != b->trusted_passed)
        return a->trusted_passed > b->trusted_passed;
    size_t support = support_of(view, a->chosen), other = support_of(view, b->chosen);
    if (support != other)
        return support > other;
    return a->members * (a->others_passed + 1) > b->members * (b->others_passed + 1);
}

struct agreement agreement_find(const struct agreement_view *view)
{
    struct agreement best = group_of(view, 0);
    for (size_t witness = 1; witness < view->witnesses; witness++) {
        struct agreement group = group_of(view, witness);
        if (is_better(view, &group, &best))
            best = group;
    }
    for (size_t witness = 0; witness < view->witnesses; witness++)
        best.rivals += !agreement_same(view, best.chosen, witness) &&
                       group_of(view, witness).trusted_passed == best.trusted_passed;
    return best;
}

bool agreement_contradicts(const struct agreement_view *view, const struct agreement *agreement, size_t test)
{
    if (view->trusted[test] || passes(view, agreement->chosen, test))
        return false;
    size_t credible = 0, passing = 0;
    for (size_t witness = 0; witness < view->witnesses; witness++) {
        bool keeps = group_of(view, witness).trusted_passed >= agreement->trusted_passed;
        credible += keeps;
        passing += keeps && passes(view, witness, test);
    }
    return agreement->members > 1 || passing * 2 < credible;
}

bool agreement_nobody_passes(const struct agreement_view *view, size_t test)
{
    enum { ENOUGH = 3 };
    size_t trusted = 0, credible = 0, believers = 0, passing = 0;
    for (size_t i = 0; i < view->tests; i++)
        trusted += view->trusted[i];
    for (size_t witness = 0; witness < view->witnesses; witness++) {
        bool keeps = group_of(view, witness).trusted_passed == trusted;
        credible += keeps;
        believers += keeps && passes(view, witness, test);
        passing += passes(view, witness, test);
    }
    return trusted >= 2 && credible && !believers && (credible >= ENOUGH || (view->witnesses >= ENOUGH && !passing));
}

bool agreement_is_clear(const struct agreement *agreement, size_t witnesses)
{
    return agreement->members > 1 && agreement->members * 2 > witnesses;
}
