/* Does every import exist? Resolved to the standard library, the repository, its manifest or the allow-list; else
 * refused. */
#ifndef PIPELINE_IMPORTS_H
#define PIPELINE_IMPORTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/base/error.h"
#include "pipeline/language.h"
#include "pipeline/symbols.h"

/* What may be imported in a tree: made once from the probe's JSON (language.h) and the list of the tree's files. */
struct import_rules;

/* `probe`: {"stdlib":[…],"declared":[…],"provides":{…}} as printed by the language's probe (untrusted: it ran in the
 * sandbox, but over repository files). `tree`: the base checkout. `allowed`: the repository's allow-list of modules. */
struct import_rules *import_rules_new(const struct language *language, const json_t *probe, const char *tree,
                                      const struct yaml_texts *allowed, struct error *err);
void import_rules_free(struct import_rules *rules);

/* Adds a file of the change, so that new modules may import each other. */
void import_rules_add_file(struct import_rules *rules, const char *path);

/* Where an import resolves: "stdlib", "repository", "manifest", "allowed" or "test tool" (pytest, hypothesis in tests);
 * NULL when nowhere. `path` is the importing file (relative imports are resolved against it). */
const char *import_resolve(const struct import_rules *rules, const char *path, const struct source_import *import,
                           bool in_test);

#endif
