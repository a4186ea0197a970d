/* Preloaded into a node: its clock of the day shows another time than the machine's, and jumps when a test says so.
 *
 * The variable LARDER_TEST_CLOCK names a file of eight bytes: nanoseconds to add, in the machine's byte order. Clocks that are made
 * for measuring, such as CLOCK_MONOTONIC, are left alone, as nobody sets them on a real machine either.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int (*next)(clockid_t, struct timespec *);
static const volatile long long *offset;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LARDER_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
    /* The name is the one that is defined below; what is asked for is whose turn it was without it. */
    *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
    if (mapped == MAP_FAILED || next == NULL) {
        abort();
    }
    offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = next ? next(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME && offset) {
        long long by = *offset, nanos = time->tv_nsec + by % 1000000000;
        time->tv_sec += by / 1000000000 + (nanos >= 1000000000) - (nanos < 0);
        time->tv_nsec = nanos + (nanos < 0 ? 1000000000 : nanos >= 1000000000 ? -1000000000 : 0);
    }
    return result;
}
