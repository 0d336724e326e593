/* Shared by the files of the configuration only. */
#ifndef APP_CONFIG_INTERNAL_H
#define APP_CONFIG_INTERNAL_H

#include "app/config.h"

extern const struct yaml_field config_fields[];

/* What holds without a file and without variables; heap texts, nothing that is derived from others (database,
 * state_dir). 0, or -1 when memory is exhausted. */
int config_set_defaults(struct config *config);

/* Replaces *text by the formatted one. 0, or -1 when memory is exhausted. */
__attribute__((format(printf, 2, 3))) int config_set_text(char **text, const char *format, ...);

/* Fills forges, models and listen from Probot's and the model providers' variables. */
int config_from_environment(struct config *config, struct error *err);

/* The names of the variables that config_from_environment() reads for models, for messages. */
extern const char config_model_variables[];

/* Everything that can be checked without the network (config.h). */
int config_check(const struct config *config, unsigned needs, struct error *err);

#endif
