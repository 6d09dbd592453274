/* Loaded before a program (LD_PRELOAD), it makes the time of day of that program another one, also while it runs. What a stopwatch
 * shows stays right.
 *
 * CLOCK_OFF is a file with the number of seconds to add.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    static __thread int inside;
    int got = (int)syscall(SYS_clock_gettime, clock, time);
    const char *path = getenv("CLOCK_OFF");
    if (got || !path || inside || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return got;
    inside = 1;
    FILE *file = fopen(path, "r");
    long off = 0;
    if (file) {
        if (fscanf(file, "%ld", &off) != 1) off = 0;
        fclose(file);
    }
    inside = 0;
    time->tv_sec += off;
    return 0;
}
