/* The language table, and Python's part of it, for a whole group of tests. */
#ifndef TESTS_PIPELINE_PYTHON_H
#define TESTS_PIPELINE_PYTHON_H

#include "pipeline/language.h"

static struct languages *languages;
static const struct language *python;

static int python_load(void **state)
{
    (void)state;
    struct error err = {0};
    languages = languages_load(&err);
    if (!languages)
        fail_msg("%s", err.message);
    python = languages_by_name(languages, "python");
    return python ? 0 : -1;
}

static int python_unload(void **state)
{
    (void)state;
    languages_free(languages);
    return 0;
}

#endif
