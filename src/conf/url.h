/* SPDX-License-Identifier: MIT */
/* url.h - whether a URL of a service may be used: strict RFC 3986, http and https. Pure. */
#ifndef CONF_URL_H
#define CONF_URL_H

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

#define URL_BYTES 8192u

/* No user name, no fragment, a host that is a name or an address in its one usual form, a port
 * from 1 to 65535, nothing that must be percent-encoded. Plain http only to this host, unless
 * `may_be_plain`. *ret_path is the offset behind host and port. ERR_VALIDATION_ERROR says what is
 * wrong without quoting the URL, which may hold a secret. */
int url_check(struct slice url, bool may_be_plain, size_t *ret_path, struct err *reterr);

#endif
