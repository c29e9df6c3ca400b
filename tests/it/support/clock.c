/* The wall clock, set forward or back by the seconds in a file. The monotonic one stays. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int outcome = real(clock, now);
	const char *path = getenv("CLOCK_OFFSET");
	char text[32] = "";
	int file;

	if (clock != CLOCK_REALTIME || outcome != 0 || !path)
		return outcome;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return outcome;
	if (read(file, text, sizeof text - 1) > 0)
		now->tv_sec += atol(text);
	close(file);
	return outcome;
}
