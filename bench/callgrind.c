/* Requests to callgrind, for a measured Python process; they do nothing where no callgrind runs. */
#include <valgrind/callgrind.h>

void callgrind_start(void)
{
    CALLGRIND_START_INSTRUMENTATION;
}

void callgrind_stop(void)
{
    CALLGRIND_STOP_INSTRUMENTATION;
}

void callgrind_dump(void)
{
    CALLGRIND_DUMP_STATS;
}
