/* The table of commands, and what all commands share: help, options, version. */
#include "app/cli.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <string.h>

#include "app/base/digest.h"
#include "app/base/template.h"

#define CONFIG_HELP                                                                                                    \
    "  --config FILE   the configuration; ./assay.yml, /etc/assay/assay.yml or the environment when left out\n"

static const struct cli_command commands[] = {
    {"serve", cli_serve, "receive webhooks and do what they ask for",
     "usage: assay serve [--config FILE]\n\n"
     "Starts the receiver, the dispatcher and the workers, each a process of its own, and starts one that dies again.\n"
     "Prints one line when it is ready. SIGTERM or SIGINT stops all, at once when it comes twice; what was\n"
     "begun goes on at the next start. SIGHUP reads the configuration again; a wrong one changes nothing. systemd may "
     "hold\nthe socket (assay.socket).\n\n" CONFIG_HELP,
     false},
    {"work", cli_work, "workers only, for more machines",
     "usage: assay work [--config FILE]\n\n"
     "Claims jobs and runs each in a process of its own, `workers` at once. Part of `assay serve`.\n\n" CONFIG_HELP,
     false},
    {"run", cli_run, "from a spec to a proven change in a checkout, without a forge",
     "usage: assay run SPEC.md [options]\n\n"
     "SPEC.md is Markdown; - reads it from standard input. Progress goes to standard error.\n\n" CONFIG_HELP
     "  --repo DIR      the repository; the current directory when left out\n"
     "  --base REF      the commit to start from; HEAD when left out\n"
     "  --output KIND   branch (a new branch with two commits), diff, or json; branch when left out\n"
     "  --json          the same as --output json\n",
     false},
    {"eval", cli_eval, "measure a model with the whole pipeline on tasks with hidden tests",
     "usage: assay eval TASKS.jsonl [options]\n"
     "       assay eval --compare A.jsonl B.jsonl [--json]\n"
     "       assay eval --summary RESULTS.jsonl [--json]\n\n"
     "TASKS.jsonl has a task a line: task_id, prompt, entry_point, test (HumanEval's format), or also language, spec, "
     "repo.\n"
     "Each is run, then its hidden test. A run that was interrupted goes on where it stopped. Without --out the "
     "results "
     "go to\nstandard output and the summary to standard error. docs/evaluation.md says what the rates "
     "mean.\n\n" CONFIG_HELP
     "  --out FILE      where results go, a JSON line each; those already there are kept, and the summary is printed\n"
     "  --sample N      only N of the tasks, drawn by the seed\n"
     "  --seed S        a number; 0 when left out\n"
     "  --single-shot   one greedy answer of the model, untested: what the pipeline is measured against\n"
     "  --jobs N        tasks at once, as many as there are processors when left out; the model answers one at a time\n"
     "  --model NAME    this model of the configuration for all roles\n"
     "  --repair-rounds N   in place of the configuration's\n"
     "  --without LIST  switch means of the pipeline off: their names, separated by commas; \"?\" lists them\n"
     "  --compare       two files of results, task by task\n"
     "  --summary       the rates of a file of results, without running anything\n"
     "  --json          the summary (or comparison) as JSON\n",
     false},
    {"mine", cli_mine, "make tasks for eval from a repository's own functions and tests",
     "usage: assay mine REPO [options]\n\n"
     "REPO is a git repository (its HEAD is taken), a URL, or a folder. Its tests run once in the sandbox to see which "
     "of\nthem run which function; then each function is tried five times without its body and five times with it. "
     "The\ntasks and a copy of the tree go to FILE and beside it; docs/evaluation.md says what is in them and what is "
     "left\nout. No model is asked.\n\n" CONFIG_HELP
     "  --out FILE      where tasks go, a JSON line each; <name of REPO>.jsonl here when left out\n"
     "  --limit N       stop after N tasks\n"
     "  --seed S        the order in which functions are tried; 0 when left out\n"
     "  --json          the counts as JSON\n",
     false},
    {"verify", cli_verify, "check a proof again: red on its first commit, green on its last",
     "usage: assay verify BASE..HEAD [options]\n\n"
     "Runs the tests of the first commit after BASE in the sandbox, there and on HEAD.\n\n" CONFIG_HELP
     "  --repo DIR      the repository; the current directory when left out\n"
     "  --json          the result as JSON\n",
     false},
    {"jobs", cli_jobs, "list jobs, newest first",
     "usage: assay jobs [options]\n\n"
     "On a terminal an aligned table; otherwise one line for each job, its columns separated by tabs: id, state, "
     "outcome,\n"
     "repository, number, command, created, cost in USD, title, why (when it is tried again, or what it failed of).\n"
     "A failed job was given up when its tries were used up: `assay retry` runs it again.\n\n" CONFIG_HELP
     "  --state STATE   only queued, running, question, done, cancelled or failed ones\n"
     "  --repo O/R      only those of this repository\n"
     "  --limit N       at most so many; 50 when left out\n"
     "  --json          as a JSON array\n",
     false},
    {"show", cli_show, "show one job: stages, model calls, cost, links",
     "usage: assay show ID [options]\n\n" CONFIG_HELP "  --json          as a JSON object\n", false},
    {"cancel", cli_cancel, "stop a job, or keep it from starting",
     "usage: assay cancel ID [--config FILE]\n\n" CONFIG_HELP, false},
    {"retry", cli_retry, "run an ended job again, or one that waits for its next try at once",
     "usage: assay retry ID|failed [options]\n\n"
     "A job that failed or was cancelled goes on where it stood; one with an outcome starts afresh. The word `failed` "
     "stands\nfor every job that has failed, as after a long outage.\n\n" CONFIG_HELP
     "  --fresh         start afresh in any case; money spent stays counted\n",
     false},
    {"deliveries", cli_deliveries, "list what the forges have sent, newest first",
     "usage: assay deliveries [options]\n"
     "       assay deliveries --retry ID\n\n"
     "On a terminal an aligned table; otherwise one line for each, its columns separated by tabs: id, state, event, "
     "tries, received, note.\n\n" CONFIG_HELP
     "  --dead          only those that came to nothing: given up after 8 tries, or failed for good\n"
     "  --state STATE   only waiting, taken, done or dead ones\n"
     "  --limit N       at most so many; 50 when left out\n"
     "  --retry ID      one that came to nothing gets its tries again; what it has led to already is not done twice\n"
     "  --json          as a JSON array\n",
     false},
    {"storage", cli_storage, "say what takes how much room",
     "usage: assay storage [options]\n\n"
     "The database by its parts, and the state directory by its folders.\n\n" CONFIG_HELP
     "  --json          counts and bytes as a JSON object\n",
     false},
    {"tidy", cli_tidy, "remove what `retention` lets go of",
     "usage: assay tidy [options]\n\n"
     "Old deliveries, journals, artifacts and evaluations, git mirrors that are not used, what dead runs have left. "
     "The workers\ndo it at their start and every hour; docs/reliability.md says what is kept.\n\n" CONFIG_HELP
     "  --json          how many of each went\n",
     false},
    {"backup", cli_backup, "copy the SQLite database while it is in use",
     "usage: assay backup FILE [--config FILE]\n\n"
     "FILE appears once it is complete and checked; it must not exist yet. To restore, stop Assay and put it in the "
     "database's place\n(remove the old one's -wal and -shm). For PostgreSQL use pg_dump.\n\n" CONFIG_HELP,
     false},
    {"migrate", cli_migrate, "move all data to another database",
     "usage: assay migrate [--from ADDRESS] --to ADDRESS [options]\n\n"
     "From SQLite to PostgreSQL or back (sqlite:///PATH, postgresql://USER@HOST/NAME). The target must be empty; it is "
     "filled in one\ntransaction, read again and compared before it counts: all is there, or nothing. The source is "
     "not changed. Stop `assay serve`\nand `assay work` first; docs/postgresql.md tells the steps.\n\n" CONFIG_HELP
     "  --from ADDRESS  where the data is; the configuration's database when left out\n"
     "  --to ADDRESS    where it goes\n"
     "  --in-use        while others use the source, as it stands now: what they write from then on is not moved\n"
     "  --json          rows and digest of each table as JSON\n",
     false},
    {"doctor", cli_doctor, "check the set-up: one line each, with the fix",
     "usage: assay doctor [options]\n\n"
     "Checks configuration, state directory, database and its room, tools, sandbox, models, forges and the webhook "
     "address.\n"
     "Each model is asked for one word, which may cost a fraction of a cent. Status 1 when a check "
     "fails.\n\n" CONFIG_HELP "  --json          as a JSON object\n",
     false},
    {"version", cli_version, "print the version",
     "usage: assay version [--json]\n\n  --json          with the templates' digest and the libraries' versions\n",
     false},
    {"help", cli_help, "help on a command", "usage: assay help [COMMAND]\n", false},
    {"receiver", cli_receiver, "answer webhooks (started by serve)",
     "usage: assay receiver\n\nReads a JSON object from standard input: socket, database, forges.\n", true},
    {"dispatch", cli_dispatch, "turn deliveries into jobs (started by serve)",
     "usage: assay dispatch [--config FILE]\n\n" CONFIG_HELP, true},
    {"catch-up", cli_catch_up, "ask the forges for what webhooks have missed (started by serve)",
     "usage: assay catch-up [--config FILE]\n\n" CONFIG_HELP, true},
    {"job", cli_job, "one attempt of one job (started by work)", "usage: assay job\n", true},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

const struct cli_command *cli_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

bool cli_wants_help(int argc, char **argv)
{
    const struct cli_command *command = cli_find(argv[0]);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (command && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            printf("assay %s: %s\n\n%s", command->name, command->summary, command->usage);
            return true;
        }
    return false;
}

/* ---- options ---- */

enum { OPTIONS_MAX = 16 };

static int misused(const char *command, const char *what, const char *which, struct error *err)
{
    return error_set(err, ERROR_USAGE, "%s: %s%s; see `assay %s --help`", command, what, which, command);
}

int cli_options(int argc, char **argv, const struct cli_option *options, const char **arguments, size_t count,
                struct error *err)
{
    struct option longs[OPTIONS_MAX + 1] = {{0}};
    for (size_t i = 0; options[i].name && i < OPTIONS_MAX; i++)
        longs[i] = (struct option){options[i].name, options[i].value ? required_argument : no_argument, NULL, 0};
    optind = 0; /* makes getopt forget an earlier call */
    opterr = 0;
    size_t found = 0;
    int at = 0;
    /* "-": other arguments are handed over in their place, as value 1; ":": a missing value is told apart. */
    for (int option; (option = getopt_long(argc, argv, "-:", longs, &at)) != -1;) {
        if (option == ':')
            return misused(argv[0], "a value is missing after ", argv[optind - 1], err);
        if (option == '?')
            return misused(argv[0], "unknown option ", argv[optind - 1], err);
        if (option == 1 && found == count)
            return misused(argv[0], "too many arguments at ", optarg, err);
        if (option == 1)
            arguments[found++] = optarg;
        else if (options[at].value)
            *options[at].value = optarg;
        else
            *options[at].flag = true;
    }
    for (; optind < argc; optind++) { /* behind "--" */
        if (found == count)
            return misused(argv[0], "too many arguments at ", argv[optind], err);
        arguments[found++] = argv[optind];
    }
    return found == count ? 0 : misused(argv[0], "an argument is missing", "", err);
}

int cli_config_only(int argc, char **argv, const char **config_path, struct error *err)
{
    const struct cli_option options[] = {{"config", NULL, config_path}, {0}};
    return cli_options(argc, argv, options, NULL, 0, err);
}

int cli_config_and_json(int argc, char **argv, const char **config_path, bool *json, struct error *err)
{
    const struct cli_option options[] = {{"config", NULL, config_path}, {"json", json, NULL}, {0}};
    return cli_options(argc, argv, options, NULL, 0, err);
}

/* ---- output ---- */

int cli_print_json(const json_t *value, FILE *out, struct error *err)
{
    if (!value)
        return error_set(err, ERROR_INTERNAL, "out of memory");
    if (json_dumpf(value, out, JSON_INDENT(2)) < 0 || fputc('\n', out) == EOF)
        return error_system(err, errno, "write the JSON");
    return 0;
}

/* ---- help and version ---- */

int cli_help(int argc, char **argv, struct error *err)
{
    if (argc > 1 && cli_wants_help(argc, argv))
        return 0;
    if (argc > 2)
        return misused("help", "too many arguments at ", argv[2], err);
    if (argc == 2) {
        if (!cli_find(argv[1]))
            return error_set(err, ERROR_USAGE, "help: there is no command %s; `assay help` lists them", argv[1]);
        cli_wants_help(2, (char *[]){argv[1], (char *)"--help", NULL});
        return 0;
    }
    printf("assay: label an issue, get a pull request that has been proven\n\nusage: assay COMMAND [options]\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        if (!commands[i].internal)
            printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    printf("\n`assay COMMAND --help` tells more. Status: 0 done, 1 the job did not succeed, 2 wrong use or "
           "configuration,\n"
           "3 something outside failed (forge, model, sandbox).\n");
    return 0;
}

/* One digest over all embedded files: results made with the same one are comparable. */
static const char *templates_digest(char hex[static DIGEST_HEX_SIZE])
{
    size_t count = 0;
    const struct template_file *files = template_files(&count);
    AUTO_BUF struct buf all = BUF_INIT(MiB(1));
    for (size_t i = 0; i < count; i++)
        buf_printf(&all, "%s  %s\n", files[i].digest, files[i].path);
    return digest_sha256(buf_text(&all), all.len, hex);
}

int cli_version(int argc, char **argv, struct error *err)
{
    bool json = false;
    const struct cli_option options[] = {{"json", &json, NULL}, {0}};
    if (cli_wants_help(argc, argv))
        return 0;
    if (cli_options(argc, argv, options, NULL, 0, err) < 0)
        return -1;
    if (!json) {
        printf("assay %s\n", ASSAY_VERSION);
        return 0;
    }
    char hex[DIGEST_HEX_SIZE];
    json_auto_t *version = json_pack("{s:s, s:s, s:{s:s, s:s, s:s}}", "version", ASSAY_VERSION, "templates",
                                     templates_digest(hex), "libraries", "jansson", jansson_version_str(),
                                     "libmicrohttpd", MHD_get_version(), "sqlite", sqlite3_libversion());
    return cli_print_json(version, stdout, err);
}
