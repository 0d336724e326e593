/* A job for people (lines, a table's row) and for programs (JSON). */
#ifndef APP_JOB_VIEW_H
#define APP_JOB_VIEW_H

#include <jansson.h>
#include <stdio.h>

#include "app/store.h"
#include "app/table.h"
#include "forge/forge.h"

/* Columns: id, state, outcome, repository, number, kind, created, cost, title. */
void job_view_row(struct table *table, const struct job *job);

/* {id, forge, repository, number, …, created, started, ended (RFC 3339 or null), published}; owned by the caller. */
json_t *job_view_json(const struct job *job);

/* The same with request, stages and calls. */
json_t *job_view_whole(const struct job *job, const struct stage_row *stages, size_t count, json_t *calls);

/* Everything about it, for people. `forge` makes the link, and may be NULL. */
void job_view_print(const struct job *job, const struct stage_row *stages, size_t count, const json_t *calls,
                    const struct forge_config *forge, FILE *file);

#endif
