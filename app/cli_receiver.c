#include "app/cli.h"
#include "app/receiver_process.h"

int cli_receiver(int argc, char **argv, struct error *err)
{
    return cli_wants_help(argc, argv) ? 0 : receiver_process(err);
}
