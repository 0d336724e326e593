/* The program: looks up the command, runs it, says in one line what went wrong. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "app/cli.h"

/* A file that gets number 0, 1 or 2 would be written to by whoever prints. */
static void open_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            _exit(3);
}

static const struct cli_command *find(const char *name)
{
    static const struct {
        const char *alias, *name;
    } aliases[] = {{"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(name, aliases[i].alias) == 0)
            name = aliases[i].name;
    return cli_find(name);
}

static int run(int argc, char **argv, struct error *err)
{
    if (argc < 2)
        return error_set(err, ERROR_USAGE, "name a command; `assay help` lists them");
    const struct cli_command *command = find(argv[1]);
    if (!command)
        return error_set(err, ERROR_USAGE, "there is no command %s; `assay help` lists them", argv[1]);
    /* Children are started as /proc/self/exe, which would show as "exe" in a list of processes. */
    char title[16]; /* all that the kernel keeps */
    snprintf(title, sizeof title, "assay %s", command->name);
    prctl(PR_SET_NAME, title);
    argv[1] = (char *)command->name; /* an alias would not be found by cli_wants_help() */
    return command->run(argc - 1, argv + 1, err);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    open_standard_streams();
    int status = run(argc, argv, &err);
    if (status >= 0 && fflush(stdout) == EOF)
        status = error_set(&err, ERROR_IO, "standard output cannot be written to; is its disk full?");
    if (status >= 0)
        return status;
    fprintf(stderr, "assay: %s\n", err.message);
    return error_exit_status(&err);
}
