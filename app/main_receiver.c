/* assay-receiver: `assay receiver` as a program of its own. It is linked with what a receiver needs alone, so the
 * process that the world can reach starts sooner, is smaller, and has no Git, HTTP client, YAML or XML in it. */
#include <stdio.h>
#include <sys/prctl.h>

#include "app/receiver_process.h"

int main(void)
{
    struct error err = {0};
    /* A list of processes would show the number of the descriptor that it was started by. */
    prctl(PR_SET_NAME, "assay receiver");
    if (receiver_process(&err) == 0)
        return 0;
    fprintf(stderr, "assay: %s\n", err.message);
    return error_exit_status(&err);
}
