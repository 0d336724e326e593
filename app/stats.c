#include "app/stats.h"

#include <math.h>
#include <stdlib.h>

#define Z_95 1.959963984540054 /* the normal distribution's 97.5 % quantile */

struct interval stats_wilson(size_t successes, size_t trials)
{
    if (trials == 0)
        return (struct interval){0, 1};
    double n = (double)trials, p = (double)successes / n, zz = Z_95 * Z_95;
    double middle = (p + zz / (2 * n)) / (1 + zz / n);
    double half = Z_95 * sqrt(p * (1 - p) / n + zz / (4 * n * n)) / (1 + zz / n);
    return (struct interval){fmax(0, middle - half), fmin(1, middle + half)};
}

double stats_mcnemar(size_t only_a, size_t only_b)
{
    double n = (double)(only_a + only_b);
    size_t fewer = only_a < only_b ? only_a : only_b;
    double tail = 0;
    /* The binomial coefficients are taken as logarithms: they pass what a double holds from n = 1030 on. */
    for (size_t k = 0; k <= fewer; k++)
        tail += exp(lgamma(n + 1) - lgamma((double)k + 1) - lgamma(n - (double)k + 1) - n * log(2));
    return fmin(1, 2 * tail);
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double stats_quantile(double *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, by_value);
    double at = share * (double)(count - 1);
    size_t below = (size_t)at, above = below + 1 < count ? below + 1 : below;
    return values[below] + (at - (double)below) * (values[above] - values[below]);
}
