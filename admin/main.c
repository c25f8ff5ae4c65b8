/* The command line of raftmq. */
#include "admin/cli.h"

int main(int argc, char **argv)
{
    return (int)cli_main(argc, argv, stdout, stderr);
}
