/* The command line: a table of commands, each a function of its own file (app/cli_*.c, app/serve.c, …).
 *
 * A command gets its own arguments (argv[0] is its name), prints results to standard output and progress to standard
 * error, and returns the exit status (0 done, 1 the job did not succeed), or -1 with an error, from which main() prints
 * one line and takes the status (error_exit_status). Options are read with cli_options(); --help is answered by
 * cli_wants_help().
 */
#ifndef APP_CLI_H
#define APP_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "app/base/error.h"

struct cli_command {
    const char *name;
    int (*run)(int argc, char **argv, struct error *err);
    const char *summary; /* one line for `assay help` */
    const char *usage;   /* the whole --help text below the first line, options aligned */
    bool internal;       /* started by Assay itself: not listed */
};

const struct cli_command *cli_find(const char *name); /* in the table of app/main.c's companion app/cli.c */

/* True after printing the command's help to standard output when an argument is --help or -h. */
bool cli_wants_help(int argc, char **argv);

/* A long option: it sets a flag or takes a value. A table ends with a NULL name. */
struct cli_option {
    const char *name;
    bool *flag;
    const char **value;
};

/* Reads the options and exactly `count` other arguments into `arguments`, in any order; ERROR_USAGE names what is
 * wrong and where the help is. All is borrowed from argv. */
int cli_options(int argc, char **argv, const struct cli_option *options, const char **arguments, size_t count,
                struct error *err);

/* For a command that takes --config and nothing else; and one that takes --json, too. */
int cli_config_only(int argc, char **argv, const char **config_path, struct error *err);
int cli_config_and_json(int argc, char **argv, const char **config_path, bool *json, struct error *err);

/* What --json prints: the value over several lines. NULL is taken for a lack of memory, which made it so. */
int cli_print_json(const json_t *value, FILE *out, struct error *err);

/* The command functions. */
int cli_serve(int argc, char **argv, struct error *err);
int cli_work(int argc, char **argv, struct error *err);
int cli_receiver(int argc, char **argv, struct error *err); /* internal */
int cli_dispatch(int argc, char **argv, struct error *err); /* internal */
int cli_catch_up(int argc, char **argv, struct error *err); /* internal */
int cli_job(int argc, char **argv, struct error *err);      /* internal: one attempt of one job */
int cli_run(int argc, char **argv, struct error *err);
int cli_eval(int argc, char **argv, struct error *err);
int cli_mine(int argc, char **argv, struct error *err);
int cli_verify(int argc, char **argv, struct error *err);
int cli_jobs(int argc, char **argv, struct error *err);
int cli_deliveries(int argc, char **argv, struct error *err);
int cli_show(int argc, char **argv, struct error *err);
int cli_cancel(int argc, char **argv, struct error *err);
int cli_retry(int argc, char **argv, struct error *err);
int cli_migrate(int argc, char **argv, struct error *err);
int cli_storage(int argc, char **argv, struct error *err);
int cli_tidy(int argc, char **argv, struct error *err);
int cli_backup(int argc, char **argv, struct error *err);
int cli_doctor(int argc, char **argv, struct error *err);
int cli_version(int argc, char **argv, struct error *err);
int cli_help(int argc, char **argv, struct error *err);

#endif
