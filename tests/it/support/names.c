/* Every name below `.inside.example` is this machine, as a name server may say; and nothing is
 * known of any name while a file says so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
		dlsym(RTLD_NEXT, "getaddrinfo");
	const char *lost = getenv("NAMES_LOST");

	if (lost && access(lost, F_OK) == 0)
		return EAI_AGAIN;
	if (name && strstr(name, ".inside.example"))
		name = "127.0.0.1";
	return real(name, service, hints, found);
}
