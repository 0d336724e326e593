/* The little statistics that an evaluation needs: how sure a rate is, and whether two runs differ. */
#ifndef APP_STATS_H
#define APP_STATS_H

#include <stddef.h>

struct interval {
    double low, high;
};

/* Wilson's score interval (1927) of a proportion, 95 %, without continuity correction; {0, 1} for no trials. */
struct interval stats_wilson(size_t successes, size_t trials);

/* McNemar's exact test, two-sided: `only_a` tasks passed in A alone, `only_b` in B alone. The probability of a split at
 * least as uneven if both were equally good; 1 without discordant pairs. */
double stats_mcnemar(size_t only_a, size_t only_b);

/* The value at a share (0.5: the median) of `count` values, by linear interpolation; sorts them in place. 0 for none.
 */
double stats_quantile(double *values, size_t count, double share);

#endif
