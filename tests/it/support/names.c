/* Every name below `.inside.example` is this machine, as a name server may say. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		dlsym(RTLD_NEXT, "getaddrinfo");

	if (name && strstr(name, ".inside.example"))
		name = "127.0.0.1";
	return real(name, service, hints, found);
}
