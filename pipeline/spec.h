/* The spec: what a person asked for, in fields, with the examples exactly as given. */
#ifndef PIPELINE_SPEC_H
#define PIPELINE_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"
#include "pipeline/language.h"

enum example_kind {
    EXAMPLE_EQUAL,  /* call → value */
    EXAMPLE_RAISES, /* call → raises Exception */
    EXAMPLE_OUTPUT, /* call prints text, or a value known by its printed form only */
};

struct example {
    enum example_kind kind;
    char *setup;    /* statements that a doctest runs before the call, one a line; "" for none */
    char *call;     /* "slugify('Hello World')" */
    char *expected; /* the value, the exception's name, or the text */
    char *source;   /* the line or lines as they stand in the spec */
};

struct spec {
    char *title;
    char *text;      /* everything, cleaned of what people cannot see */
    char *signature; /* NULL where the spec did not say and nobody has filled it in */
    char *behaviour;
    char *file;     /* target path */
    char *language; /* canonical name */
    char *kind;     /* function, class, tests, refactor, docs */
    char *pattern;
    char *constraints;
    char **criteria;
    size_t criteria_count;
    struct example *examples;
    size_t example_count;
    char *symbol; /* what the signature defines: "slugify", "Cart" */
};

/* Reads the headings of a Markdown text; fields that are not there stay NULL. `title` may be "". Examples and signature are read
 * by the two functions above once the language is known (at once when the text names it). */
int spec_read(const struct languages *languages, const char *title, const char *text, struct spec *out,
              struct error *err);
void spec_release(struct spec *spec);

json_t *spec_to_json(const struct spec *spec);
int spec_from_json(const json_t *value, struct spec *out, struct error *err);

#endif
