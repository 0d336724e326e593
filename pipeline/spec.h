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
    char *signature; /* a definition without its body, "def slugify(text: str) -> str:"; NULL until somebody says it */
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

/* Reads the headings of a Markdown text; fields that are not there stay NULL. `title` may be "". Signature and examples
 * need the language: see below. ERROR_INPUT for a language that is unknown, ERROR_LIMIT for a text over 256 KiB. */
int spec_read(const struct languages *languages, const char *title, const char *text, struct spec *out,
              struct error *err);

/* Takes a signature as people write it ("slugify(text) -> str", in backticks, without "def" or colon) into `signature`
 * and `symbol`, in the language's own form. False when it defines nothing: then nothing is changed. */
bool spec_set_signature(struct spec *spec, const struct language *language, const char *text);

/* Looks for a signature where people put one without a heading: a definition in a code block, `def f(x)` in backticks.
 */
bool spec_find_signature(struct spec *spec, const struct language *language);

/* Reads the examples of the text, in the language's syntax; those already there are kept. */
int spec_read_examples(struct spec *spec, const struct language *language, struct error *err);

/* What the text tells of the behaviour: all of it without the sections that hold one fact each (signature, file,
 * language, kind) and without the heading of the behaviour itself. Heap. */
char *spec_told(const struct spec *spec);

/* Does a request say that something is an error? */
bool spec_speaks_of_errors(const char *text);

/* Sets a text field that is still NULL to a copy of `value`, unless that is NULL or blank. */
void spec_fill(char **field, const char *value);

void spec_release(struct spec *spec);

json_t *spec_to_json(const struct spec *spec);
int spec_from_json(const json_t *value, struct spec *out, struct error *err);

#endif
