#include "app/engine.h"

#include <stdlib.h>

int engine_init(struct engine *engine, const struct config *config, struct secrets *secrets, const struct log *log,
                struct error *err)
{
    struct engine fresh = {.config = config};
    fresh.tools = config_tools_dir(config, err);
    if (fresh.tools && (fresh.languages = languages_load(err)) &&
        (fresh.models = models_new(config->models.items, config->models.count, &config->routes, secrets, log, err)) &&
        (fresh.sandbox = sandbox_new(&config->sandbox, config->state_dir, fresh.tools, err))) {
        *engine = fresh;
        return 0;
    }
    engine_release(&fresh);
    return -1;
}

void engine_release(struct engine *engine)
{
    sandbox_free(engine->sandbox);
    models_free(engine->models);
    languages_free(engine->languages);
    free(engine->tools);
    *engine = (struct engine){0};
}

struct pipeline engine_pipeline(const struct engine *engine, const char *tree, const struct log *log)
{
    return (struct pipeline){.languages = engine->languages,
                             .models = engine->models,
                             .sandbox = engine->sandbox,
                             .tools = engine->tools,
                             .tree = tree,
                             .repair_rounds = engine->config->limits.repair_rounds,
                             .context_tokens =
                                 models_context_tokens(engine->models, engine->config->limits.context_tokens),
                             .thresholds = engine->config->thresholds,
                             .samples = engine->config->limits.samples,
                             .log = log};
}
