/* A file system that is mounted read-only, below $KEYFERRY_HOME, while a file says so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const char *path)
{
	const char *home = getenv("KEYFERRY_HOME");
	const char *flag = getenv("READ_ONLY");

	if (!home || !flag || strncmp(path, home, strlen(home)) != 0 || access(flag, F_OK) != 0)
		return 0;
	errno = EROFS;
	return 1;
}

int open64(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT) {
		if (refused(path))
			return -1;
	}
	return real(path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
	int (*real)(const char *, mode_t) = dlsym(RTLD_NEXT, "mkdir");

	return refused(path) ? -1 : real(path, mode);
}

int rename(const char *from, const char *to)
{
	int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");

	return refused(to) ? -1 : real(from, to);
}

int unlink(const char *path)
{
	int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink");

	return refused(path) ? -1 : real(path);
}
