/* The means that can be switched off (assay eval --without): one row for each. */
#include <stddef.h>

#include "pipeline/pipeline.h"

static const struct {
    const char *name, *help;
} means[] = {
    [MEAN_WITNESSES] = {"witnesses", "implementations that cross-examine the tests before they are locked"},
    [MEAN_RESAMPLE] = {"resample", "a fresh sample as the second repair round, in place of another repair"},
    [MEAN_PROPERTIES] = {"properties", "what holds for every input, tried on random ones"},
    [MEAN_COVERAGE] = {"coverage", "how much of the change the tests run, and whether that is enough"},
    [MEAN_MUTANTS] = {"mutants", "mutants of the changed lines, and tests for those that the tests do not find"},
};

const char *pipeline_mean(enum mean mean, const char **help)
{
    if (mean >= MEAN_COUNT)
        return NULL;
    *help = means[mean].help;
    return means[mean].name;
}

bool pipeline_uses(const struct pipeline *pipeline, enum mean mean)
{
    return !(pipeline->without & (1u << mean));
}
