/* What Assay does to a forge, each thing once: noted as intended before it is tried and as done after, and looked for
 * when it is not known whether it happened (docs/reliability.md).
 *
 * All writing to a forge goes through here, and through nothing else. The notes are rows of the store that are known by
 * repository, kind and key, so it does not matter which delivery, attempt or process comes to the same effect again.
 * Whoever begins an effect takes it from those who began it before: a process that slept through its lease is kept from
 * writing right before its request leaves. With dry_run nothing leaves, and the notes say what would have.
 */
#ifndef APP_EFFECT_H
#define APP_EFFECT_H

#include <stdbool.h>
#include <stdint.h>

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/store.h"
#include "forge/forge.h"

enum effect_kind {
    EFFECT_REACTION,
    EFFECT_COMMENT,
    EFFECT_BRANCH,
    EFFECT_CHECK,
    EFFECT_PULL,
    EFFECT_LABEL,
    EFFECT_UNLABEL,
};

/* Who acts, and where. All is borrowed. */
struct effects {
    struct store *store;
    struct forge *forge;
    const char *forge_name;
    const struct forge_repo *repo;
    const struct log *log;
    int64_t job;          /* 0: none */
    const char *delivery; /* that asks for it; NULL: a job does */
};

/* Of the table of kinds, for docs and tests: its name; NULL past the last. `mark`: how one is known again; `found`: how
 * it is looked for. */
const char *effect_kind_name(size_t kind, const char **mark, const char **found);

/* A reaction ("eyes") to an issue or a comment, once. */
int effect_react(const struct effects *effects, enum forge_subject subject, int64_t id, const char *content,
                 struct error *err);

/* A comment known by its marker, made or brought up to date; *id: what is known of it, 0 for nothing. */
int effect_comment(const struct effects *effects, int64_t number, const char *marker, const char *body, int64_t *id,
                   struct error *err);

/* A commit on a branch; `push` sends it and may be called again for one that is there. `run_ms` tells a job's runs
 * apart: a branch whose pull request this run has opened is left alone, it may have been merged and removed. */
int effect_branch(const struct effects *effects, const char *name, const char *head, int64_t run_ms,
                  int (*push)(void *context, struct error *err), void *context, struct error *err);

/* The check run of that external id on the commit, made or brought up to date. */
int effect_check(const struct effects *effects, const struct forge_check *check, int64_t *id, struct error *err);

/* The pull request from a branch at a commit, opened or brought up to date. One that a person has closed is left closed
 * by the run that opened it. */
int effect_pull(const struct effects *effects, const struct forge_pull_request *request, const char *head,
                int64_t run_ms, struct forge_pull *out, struct error *err);

/* A label put on or taken off, once in a run. */
int effect_label(const struct effects *effects, int64_t number, const char *label, bool on, int64_t run_ms,
                 struct error *err);

/* True when another delivery has asked for this effect before: the same thing was heard of in two ways. */
int effect_is_anothers(const struct effects *effects, enum effect_kind kind, const char *key, bool *anothers,
                       struct error *err);

/* The keys under which a reaction and a comment are noted. Heap; NULL without memory. */
char *effect_reaction_key(enum forge_subject subject, int64_t id, const char *content);
char *effect_comment_key(int64_t number, const char *marker);

#endif
