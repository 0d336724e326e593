/* What every run needs, made from the configuration once for a process: languages, models, sandbox, tools. */
#ifndef APP_ENGINE_H
#define APP_ENGINE_H

#include "app/base/error.h"
#include "app/base/log.h"
#include "app/base/secret.h"
#include "app/config.h"
#include "pipeline/pipeline.h"

struct engine {
    const struct config *config; /* borrowed */
    struct languages *languages;
    struct models *models;
    struct sandbox *sandbox;
    char *tools;
};

/* `config`, `secrets` and `log` are borrowed and must outlive the engine. */
int engine_init(struct engine *engine, const struct config *config, struct secrets *secrets, const struct log *log,
                struct error *err);
void engine_release(struct engine *engine);

/* A pipeline over this engine for one checked-out tree; journal, policy are filled in by the caller. Borrows
 * everything. */
struct pipeline engine_pipeline(const struct engine *engine, const char *tree, const struct log *log);

#endif
