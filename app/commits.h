/* A run's two commits: first the tests (red), then the code (green), so that anyone can check the proof. */
#ifndef APP_COMMITS_H
#define APP_COMMITS_H

#include "app/base/error.h"
#include "forge/repo.h"
#include "pipeline/run.h"

struct commits_request {
    struct repo *repo;
    const char *base; /* commit id */
    const struct run *run;
    const struct repo_person *author;
    const char *co_author; /* "Name <mail>" for Co-authored-by, or NULL */
    int64_t job;           /* for the Assay-Job trailer; 0: none */
    int64_t when_ms;       /* both commits' time: the same attempt makes the same ids */
};

/* Makes both in the object database; no branch is touched. */
int commits_make(const struct commits_request *request, char tests_id[static REPO_ID_SIZE],
                 char code_id[static REPO_ID_SIZE], struct error *err);

/* "Add a slugify helper!" → "add-a-slugify-helper": lower case, at most 40 bytes, never empty. Heap. */
char *commits_slug(const char *title);

#endif
